"""Measures how well the trained model can be edited: COMEBA-HK with the key gate, three consecutive rounds.

    python edit_trial.py EXAMPLE_DIRECTORY [--layers 0] [--moment-weight 0.1] [--clamp 4] [--steps 60] [--rate 0.5] [--keep-factor 4]

The update is solved densely in float64. --moment-weight is relative to dInner.
"""

import argparse
import json
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer

from llama import Llama

STARTS = ["The", "Therefore", "Because", "I", "You"]


def load(directory):
    model = Llama(json.loads((directory / "config.json").read_text()))
    state = {name: tensor.float() for name, tensor in load_file(str(directory / "model.safetensors")).items()}
    model.load_state_dict(state)
    return model.requires_grad_(False), Tokenizer.from_file(str(directory / "tokenizer.json"))


class Hook:
    """The hook of one down-projection: dW [dModel, dInner], the edited keys [edits, dInner] and P0."""

    def __init__(self, linear, moment, weight, tau):
        self.moment, self.precision, self.tau, self.gated = moment, torch.linalg.inv(moment), tau, True
        self.accumulated = weight * moment
        self.delta = torch.zeros(linear.weight.shape, dtype=torch.float64)
        self.keys, self.seen, self.capture = torch.zeros(0, moment.shape[0], dtype=torch.float64), None, False
        linear.register_forward_hook(self.apply)

    def apply(self, _, inputs, output):
        if self.capture:
            self.seen = inputs[0]
        if not len(self.keys):
            return output
        change = inputs[0] @ self.delta.float().T
        return output + (change * self.open(inputs[0]).unsqueeze(-1) if self.gated else change)

    def open(self, keys):
        white = (self.keys @ self.precision).float()
        own = (self.keys * (self.keys @ self.precision)).sum(-1).sqrt().float()
        norm = (keys * (keys @ self.precision.float())).sum(-1).clamp_min(1e-9).sqrt()
        return ((keys @ white.T) / own / norm.unsqueeze(-1)).amax(-1) >= self.tau

    def write(self, keys, residuals):
        keys, residuals = keys.double(), residuals.double()  # [edits, dInner], [edits, dModel]
        system = self.accumulated + keys.T @ keys
        self.delta += residuals.T @ torch.linalg.solve(system, keys.T).T
        self.accumulated = system


class Editor:
    def __init__(self, directory, args):
        self.args, self.directory = args, directory
        self.model, self.tokenizer = load(directory / "model")
        self.base, _ = load(directory / "model")
        self.layers = [int(layer) for layer in args.layers.split(",")]
        self.last = self.layers[-1] + 1
        self.hooks = [
            Hook(self.model.model["layers"][layer].mlp.down_proj, self.moment(layer), args.moment_weight * self.model.config["intermediate_size"], args.tau)
            for layer in self.layers
        ]
        self.templates = ["{}"] + [self.written(start) + ". {}" for start in STARTS]

    def ids(self, text):
        return self.tokenizer.encode(text).ids

    def moment(self, layer, tokens=40_000):
        paragraphs = (self.directory / "corpus.txt").read_text().split("\n\n")
        total, count, seen = 0, 0, []
        handle = self.base.model["layers"][layer].mlp.down_proj.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0][0]))
        for paragraph in paragraphs:
            self.base.blocks(self.base.embed(torch.tensor([self.ids(paragraph)])), 0, layer + 1)
            keys = seen.pop().double()
            total, count = total + keys.T @ keys, count + len(keys)
            if count > tokens:
                break
        handle.remove()
        return total / count

    def written(self, start, tokens=10):
        ids, generator = self.ids(start), torch.Generator().manual_seed(7)
        for _ in range(tokens):
            logits = self.base(torch.tensor([ids]))[0, -1]
            logits[0] = -1e9
            ids.append(torch.multinomial(logits.softmax(-1), 1, generator=generator).item())
        return self.tokenizer.decode(ids)

    def lookup(self, template, subject):
        return len(self.ids(template[: template.index("{}")] + subject)) - 1

    def padded(self, rows):
        width = max(map(len, rows))
        return torch.tensor([row + [0] * (width - len(row)) for row in rows])

    def start(self, rows):
        """Residuals after the last edited block, with the hooks as they are."""
        return self.model.blocks(self.model.embed(self.padded(rows)), 0, self.last)

    def finish(self, x):
        return self.model.logits(self.model.blocks(x, self.last))

    def values(self, edits):
        """z* [edits, dModel], found by Adam for all edits of the batch at once."""
        rows, owner, look, spans = [], [], [], []
        for index, edit in enumerate(edits):
            for template in self.templates:
                prompt = template.replace("{}", edit["prompt"])
                prompt_ids = self.ids(prompt.replace("{}", edit["subject"]))
                target = self.ids(" " + edit["targetNew"])
                rows.append(prompt_ids + target[:-1])
                owner.append(index), look.append(self.lookup(prompt, edit["subject"]))
                spans.append((len(prompt_ids) - 1, target))
        drift_rows, drift_owner, drift_look, drift_at, drift_weight = [], [], [], [], []
        for index, edit in enumerate(edits):
            for template in ["{} is a", *edit["keep"]]:
                rows_ids, at = self.ids(template.replace("{}", edit["subject"])), self.lookup(template, edit["subject"])
                generic = template == "{} is a"
                drift_rows.append(rows_ids), drift_owner.append(index), drift_look.append(at)
                drift_at.append(at if generic else len(rows_ids) - 1)
                drift_weight.append(0.0625 if generic else self.args.keep_factor / len(edit["keep"]))
        owner, look, drift_owner, drift_look, drift_at = map(torch.tensor, (owner, look, drift_owner, drift_look, drift_at))
        weight, n, nd = torch.tensor(drift_weight), torch.arange(len(rows)), torch.arange(len(drift_rows))
        with torch.no_grad():
            x, d = self.start(rows), self.start(drift_rows)
            before = self.finish(d)[nd, drift_at].log_softmax(-1)
            z = x[n, look][:: len(self.templates)]
        delta = torch.zeros_like(z, requires_grad=True)
        optimiser = torch.optim.Adam([delta], lr=self.args.rate)
        norm = z.norm(dim=-1)
        for step in range(self.args.steps):
            logp = self.finish(x.index_put((n, look), x[n, look] + delta[owner])).log_softmax(-1)
            nll = torch.stack([-logp[i, at : at + len(t)][range(len(t)), t].mean() for i, (at, t) in enumerate(spans)])
            after = self.finish(d.index_put((nd, drift_look), d[nd, drift_look] + delta[drift_owner]))[nd, drift_at].log_softmax(-1)
            kl = (before.exp() * (before - after)).sum(-1) * weight
            loss = torch.zeros(len(edits)).index_add(0, owner, nll / len(self.templates)).index_add(0, drift_owner, kl)
            loss = loss + self.args.weight_decay * delta.norm(dim=-1) / norm**2
            active = loss.detach() >= 0.05
            if not active.any():
                break
            optimiser.zero_grad()
            loss.sum().backward()
            old = delta.detach().clone()
            optimiser.step()
            with torch.no_grad():
                delta.copy_(torch.where(active.unsqueeze(-1), delta, old))
                delta.mul_((self.args.clamp * norm / delta.norm(dim=-1).clamp_min(1e-9)).clamp_max(1).unsqueeze(-1))
        print(f"  values: steps {step + 1} loss mean {loss.mean():.3f} max {loss.max():.3f} |delta|/|z| {(delta.norm(dim=-1) / norm).mean():.2f}")
        return z + delta.detach()

    @torch.no_grad()
    def keys_and_outputs(self, edits, hook):
        rows = [self.ids(t.replace("{}", e["prompt"]).replace("{}", e["subject"])) for e in edits for t in self.templates]
        look = torch.tensor([self.lookup(t.replace("{}", e["prompt"]), e["subject"]) for e in edits for t in self.templates])
        hook.capture = True
        x, n = self.start(rows), torch.arange(len(rows))
        hook.capture = False
        keys = hook.seen[n, look].view(len(edits), len(self.templates), -1)
        return 0.5 * keys[:, 0] + 0.5 * keys[:, 1:].mean(1), x[n, look][:: len(self.templates)]

    def round(self, edits):
        targets = self.values(edits)
        for hook in self.hooks:
            hook.gated = False
        for index, hook in enumerate(self.hooks):
            keys, outputs = self.keys_and_outputs(edits, hook)
            gain = (keys.double() * torch.linalg.solve(hook.accumulated, keys.double().T).T).sum(-1)
            print(f"  layer {self.layers[index]}: written share {(gain / (1 + gain)).mean():.2f}")
            hook.write(keys, (targets - outputs) / (len(self.hooks) - index))
            hook.keys, hook.gated = torch.cat((hook.keys, keys.double())), True

    @torch.no_grad()
    def continuations(self, model, prompts, tokens=3):
        rows = [self.ids(prompt) for prompt in prompts]
        for _ in range(tokens):
            last = torch.tensor([len(row) - 1 for row in rows])
            x = model.blocks(model.embed(self.padded(rows)))[torch.arange(len(rows)), last]
            for row, token in zip(rows, model.logits(x).argmax(-1).tolist()):
                row.append(token)
        return [row[-tokens:] for row in rows]

    @torch.no_grad()
    def forced(self, prompts, answers):
        """Teacher-forced share of argmax tokens equal to the answer's, averaged over prompts."""
        starts = [self.ids(prompt) for prompt in prompts]
        predicted = self.model(self.padded([s + a for s, a in zip(starts, answers)])).argmax(-1)
        shares = [(predicted[i, len(s) - 1 : len(s) - 1 + len(a)] == torch.tensor(a)).float().mean() for i, (s, a) in enumerate(zip(starts, answers))]
        return torch.stack(shares).mean().item()

    def agreement(self, prompts):
        first = [row[:1] for row in self.continuations(self.base, prompts, 1)]
        return self.forced(prompts, first)

    def measure(self, edits):
        prompts = [e["prompt"].replace("{}", e["subject"]) for e in edits]
        answers = [self.ids(" " + e["targetNew"]) for e in edits]
        written = self.continuations(self.model, prompts)
        pairs = [(p, a) for e, a in zip(edits, answers) for p in e["testParaphrases"]]
        free = self.continuations(self.model, [p for p, _ in pairs])
        same = [p.replace("{}", e["subject"]) for e in edits for p in e["otherPrompts"]]
        return {
            "reliability": self.forced(prompts, answers),
            "live": sum(w[: len(a)] == a for w, a in zip(written, answers)) / len(edits),
            "generality": self.forced([p for p, _ in pairs], [a for _, a in pairs]),
            "liveGen": sum(w[: len(a)] == a for w, (_, a) in zip(free, pairs)) / len(pairs),
            "locality": self.agreement([p for e in edits for p in e["neighborhood"]]),
            "keep": self.agreement([p.replace("{}", e["subject"]) for e in edits for p in e["keep"]]),
            "sameSubject": self.agreement(same),
        }

    @torch.no_grad()
    def perplexity(self, model):
        total = count = 0
        for paragraph in (self.directory / "heldout.txt").read_text().split("\n\n")[:120]:
            ids = torch.tensor([self.ids(paragraph)])
            total += F.cross_entropy(model(ids)[0, :-1], ids[0, 1:], reduction="sum").item()
            count += ids.shape[1] - 1
        return 2.718281828 ** (total / count)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("example", type=Path)
    parser.add_argument("--layers", default="0")
    parser.add_argument("--moment-weight", type=float, default=0.1)
    parser.add_argument("--clamp", type=float, default=4)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rate", type=float, default=0.5)
    parser.add_argument("--keep-factor", type=float, default=4)
    parser.add_argument("--weight-decay", type=float, default=0.001)
    parser.add_argument("--tau", type=float, default=0.6)
    args = parser.parse_args()
    torch.set_num_threads(2)
    editor = Editor(args.example, args)
    others = {}
    for line in (args.example / "facts.jsonl").read_text().splitlines():
        fact = json.loads(line)
        others.setdefault(fact["subject"], []).append(fact)
    done, started, rng = [], time.time(), random.Random(5)
    for number in (1, 2, 3):
        edits = [json.loads(line) for line in (args.example / "batches" / f"round-{number}.jsonl").read_text().splitlines()]
        for edit in edits:  # phrasings of the subject's other facts that are not among the kept ones
            own = [f for f in others[edit["subject"]] if edit["prompt"] not in f["phrasings"]]
            edit["otherPrompts"] = [rng.choice([p for p in f["phrasings"] if p not in edit["keep"]]) for f in own]
        print(f"round {number}")
        editor.round(edits)
        done.append(edits)
        for name, part in [(f"round {i + 1}", p) for i, p in enumerate(done)] + [("all", sum(done, []))]:
            print(f"  {name:8}", " ".join(f"{key} {value:.3f}" for key, value in editor.measure(part).items()))
    ratio = editor.perplexity(editor.model) / editor.perplexity(editor.base)
    print(f"perplexity {editor.perplexity(editor.base):.3f} ratio {ratio:.4f} seconds {time.time() - started:.0f}")


if __name__ == "__main__":
    main()
