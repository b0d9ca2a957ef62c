"""MEMIT's value search in PyTorch, one edit at a time over whole sequences, as the field's scripts run it: the yardstick
of `npm run bench -- --only pytorch-search`. Needs torch and transformers (measured with torch 2.8.0, transformers 4.57.6).

Reads one JSON object from standard input: model (directory), layer, steps, learningRate, clampNormFactor, weightDecay,
klFactor, edits: [{prompts: [[token ids]], lookups: [index], targetIds: [ids], subjectIds: [ids], subjectLookup: index}].
Writes a JSON list with one object per edit: {"seconds": float, "losses": [float], "delta": [float]}.
"""
import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM

request = json.load(sys.stdin)
model = AutoModelForCausalLM.from_pretrained(request["model"], dtype=torch.float32)
model.eval().requires_grad_(False)
layer = model.get_submodule(f"model.layers.{request['layer']}")


def batch_of(sequences):
    """Right-padded ids and their mask."""
    longest = max(map(len, sequences))
    ids = torch.zeros(len(sequences), longest, dtype=torch.long)
    mask = torch.zeros(len(sequences), longest, dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence)
        mask[row, : len(sequence)] = 1
    return ids, mask


def search(edit):
    """`compute_z`: Adam on the shift of one block's output at the subject's last token."""
    targets = edit["targetIds"]
    written = [prompt + targets[:-1] for prompt in edit["prompts"]]
    sequences = [*written, edit["subjectIds"]]
    lookups = torch.tensor([*edit["lookups"], edit["subjectLookup"]])
    ids, mask = batch_of(sequences)
    rows = torch.arange(len(sequences))
    wanted = torch.full_like(ids[:-1], -100)
    for row, prompt in enumerate(edit["prompts"]):
        wanted[row, len(prompt) - 1 : len(prompt) - 1 + len(targets)] = torch.tensor(targets)
    delta = torch.zeros(model.config.hidden_size, requires_grad=True)
    optimizer = torch.optim.Adam([delta], lr=request["learningRate"])
    initial = before = None
    losses = []

    def shift(_module, _inputs, output):
        nonlocal initial
        hidden = output[0] if isinstance(output, tuple) else output
        if initial is None:
            initial = hidden[0, lookups[0]].detach().clone()
        shifted = hidden.clone()
        shifted[rows, lookups] += delta
        return (shifted, *output[1:]) if isinstance(output, tuple) else shifted

    handle = layer.register_forward_hook(shift)
    for step in range(request["steps"]):
        optimizer.zero_grad()
        logits = model(input_ids=ids, attention_mask=mask).logits
        log_probabilities = torch.log_softmax(logits, dim=2)
        kept = log_probabilities[-1, lookups[-1]]
        before = kept.detach().clone() if before is None else before
        said = torch.gather(log_probabilities[:-1], 2, wanted.clamp(min=0).unsqueeze(2)).squeeze(2)
        nll = -(said * (wanted != -100)).sum(1).div(len(targets)).mean()
        kl = request["klFactor"] * torch.nn.functional.kl_div(before[None], kept[None], log_target=True, reduction="batchmean")
        loss = nll + kl + request["weightDecay"] * delta.norm() / initial.norm() ** 2
        losses.append(float(loss))
        if step == request["steps"] - 1:
            break
        loss.backward()
        optimizer.step()
        bound = request["clampNormFactor"] * initial.norm()
        if delta.norm() > bound:
            with torch.no_grad():
                delta.mul_(bound / delta.norm())
    handle.remove()
    return losses, delta.detach().tolist()


def timed_search(edit):
    started = time.perf_counter()
    losses, delta = search(edit)
    return {"seconds": time.perf_counter() - started, "losses": losses, "delta": delta}


json.dump([timed_search(edit) for edit in request["edits"]], sys.stdout)
