"""MEMIT (arXiv 2210.07229) and AlphaEdit (arXiv 2410.02355) in PyTorch, written from the papers: the peers of
`npm run bench -- --only peers`. For decoders built as Llama's. Needs torch, transformers and safetensors (measured with
torch 2.8.0, transformers 4.57.6, safetensors 0.8.0).

Reads one JSON object from standard input:
    model     a Hugging Face directory
    moments   a safetensors file with `moment.<layer>`: lower triangle of C0 = E[k k^T], float64 [dInner, dInner]
    contexts  templates with one {}, the bare one first
    settings  of method "memit" or "alphaedit", see peer-settings.ts
    rounds    lists of {subject, prompt with {}, target}, written one after the other
    folder    where the weight change goes: a LoRA adapter of PEFT on the down-projections, exact
    threads   of torch

Writes one JSON object: per round the seconds of its value searches, its seconds altogether and the steps of each edit; and
of each edit, in the edited model, the mean negative log-probability of its target after its prompt.
"""
import json
import os
import sys
import time

import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import log_softmax
from transformers import AutoModelForCausalLM, AutoTokenizer

from value_search import ValueSearch, padded, text_of


class Reached(Exception):
    """Ends a forward pass at the block beyond which nothing is asked."""


@torch.no_grad()
def at_lookups(model, texts, module, what):
    """Input or output of a module at each text's lookup: float64 [texts, width]."""
    held = {}

    def hold(_module, inputs, output):
        held["input"], held["output"] = inputs[0], output
        raise Reached

    # What stands behind a lookup cannot change what is read there.
    ids = padded([text.ids[: text.lookup + 1] for text in texts])
    handle = module.register_forward_hook(hold)
    try:
        model.model(input_ids=ids, use_cache=False)
    except Reached:
        pass
    handle.remove()
    return held[what][torch.arange(len(texts)), [text.lookup for text in texts]].double()


class Memit:
    """dW = R K^T (lambda C0 + K K^T)^-1"""

    def __init__(self, moments, settings):
        self.held = {layer: settings["momentWeight"] * moment for layer, moment in moments.items()}

    def directions(self, layer, keys):
        """A with dW = R A, float64 [edits, dInner], of keys K [dInner, edits]."""
        return torch.linalg.solve(self.held[layer] + keys @ keys.T, keys).T


class AlphaEdit:
    """dW = R K^T P (Kp Kp^T P + K K^T P + ridge I)^-1: P projects onto what C0 hardly sees, Kp are the keys written before."""

    def __init__(self, moments, settings):
        self.ridge = settings["ridge"]
        self.projections, self.before = {}, {}
        for layer, moment in moments.items():
            values, vectors = torch.linalg.eigh(moment)
            null = vectors[:, values < settings["nullThreshold"]]
            self.projections[layer] = null @ null.T
            self.before[layer] = torch.zeros_like(moment)

    def directions(self, layer, keys):
        projection = self.projections[layer]
        self.before[layer] += keys @ keys.T
        system = projection @ self.before[layer] + self.ridge * torch.eye(len(keys), dtype=keys.dtype)
        return torch.linalg.solve(system, projection @ keys).T


class Editor:
    def __init__(self, request):
        self.settings = request["settings"]
        self.model = AutoModelForCausalLM.from_pretrained(request["model"], dtype=torch.float32)
        self.model.eval().requires_grad_(False)
        self.tokenizer = AutoTokenizer.from_pretrained(request["model"])
        self.contexts = request["contexts"]
        self.search = ValueSearch(self.model, self.tokenizer, self.contexts, self.settings)
        stored = load_file(request["moments"])
        lower = {layer: stored[f"moment.{layer}"].tril() for layer in self.settings["layers"]}
        moments = {layer: half + half.tril(-1).T for layer, half in lower.items()}
        self.method = {"memit": Memit, "alphaedit": AlphaEdit}[self.settings["method"]](moments, self.settings)
        self.factors = {layer: [] for layer in self.settings["layers"]}

    def write(self, edits):
        """Writes one round into the weights. The residual of the value layer is spread over the layers, first to last."""
        started = time.perf_counter()
        targets, steps = self.search.targets(edits)
        searched = time.perf_counter()
        bare = [text_of(self.tokenizer, edit["prompt"], edit["subject"]) for edit in edits]
        texts = [
            text_of(self.tokenizer, context.replace("{}", edit["prompt"]), edit["subject"])
            for edit in edits
            for context in self.contexts
        ]
        layers, blocks = self.settings["layers"], self.model.model.layers
        for i, layer in enumerate(layers):
            projection = blocks[layer].mlp.down_proj
            read = at_lookups(self.model, texts, projection, "input")
            keys = read.view(len(edits), len(self.contexts), -1).mean(1).T
            now = at_lookups(self.model, bare, blocks[layers[-1]], "output")
            residuals = (targets.double() - now).T / (len(layers) - i)
            directions = self.method.directions(layer, keys)
            projection.weight += (residuals @ directions).float()
            self.factors[layer].append((residuals, directions))
        done = time.perf_counter()
        return {"searchSeconds": searched - started, "seconds": done - started, "steps": steps}

    @torch.no_grad()
    def nll(self, edit):
        text = text_of(self.tokenizer, edit["prompt"], edit["subject"])
        target = self.search.target_ids(edit)
        logits = self.model(input_ids=torch.tensor([text.ids + target[:-1]])).logits[0, len(text.ids) - 1 :]
        return -float(log_softmax(logits, 1).gather(1, torch.tensor(target)[:, None]).mean())

    def save(self, folder):
        tensors, modules = {}, []
        for layer, parts in self.factors.items():
            residuals, directions = zip(*parts)
            module = f"model.layers.{layer}.mlp.down_proj"
            modules.append(module)
            name = f"base_model.model.{module}"
            tensors[f"{name}.lora_A.weight"] = torch.cat(directions).float().contiguous()
            tensors[f"{name}.lora_B.weight"] = torch.cat(residuals, 1).float().contiguous()
        rank = sum(len(directions) for _, directions in next(iter(self.factors.values())))
        config = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "target_modules": modules}
        save_file(tensors, os.path.join(folder, "adapter_model.safetensors"))
        with open(os.path.join(folder, "adapter_config.json"), "w") as file:
            json.dump(config, file)


def main():
    request = json.load(sys.stdin)
    torch.set_num_threads(request["threads"])
    editor = Editor(request)
    rounds = [editor.write(edits) for edits in request["rounds"]]
    editor.save(request["folder"])
    nll = [editor.nll(edit) for edits in request["rounds"] for edit in edits]
    json.dump({"rounds": rounds, "nll": nll}, sys.stdout)


if __name__ == "__main__":
    main()
