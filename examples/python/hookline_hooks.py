"""Serves a pulled hookline version on a Hugging Face transformers model: key-gated hooks on the down-projections.

    handle = attach(model, "version/current")   # a folder with manifest.json and the files at the keys it names
    model.generate(...)                         # edited
    handle.last_firings                         # whose edits opened a gate, at which token, how strongly
    handle.remove()                             # the base model again

    python hookline_hooks.py <model directory> <version folder> "The Eiffel Tower is in"

A hooked layer answers `W k + b + dW k` to a token whose key k is an edited key, and `W k + b` to all others. With the
metric P0 (inverse second moment of ordinary keys), the keys K of all rows and their targets V, the files hold

    E = K' P0 [rows, dInner],   V [rows, dModel],   gram = K' P0 K [rows, rows],   Q with |Q k|^2 ~ k' P0 k,

and the weight change is dW = A E with A = V' (lambda I + gram)^-1; behind the gate `nearest` the row e that opens it says
v_e (E k)_e / gram_ee instead, by itself. The gate of row e at key k is the whitened cosine
s_e(k) = (E k)_e / (sqrt(gram_ee) |Q k|); a token is edited where s_e(k) >= tau_e for some e. The gate sees one token at a
time, so batches, padding and key/value caches change nothing.

A row belongs to a subject's memory, which has a row for each kind of the subject's forms. All of them say all edits of the
subject.
"""
import argparse
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch

BLOCK = 64  # numbers that share a scale
PEAK = -128  # an int8 step that stands for the next number of `Peaks`
SEGMENT_KEY = re.compile(r"versions/\d{6}/hooks\.safetensors")
DOWN_PROJECTION = re.compile(r"\.(\d+)\.mlp\.(?:down_proj|c_proj|fc_out|dense_4h_to_h)$")


class HookError(Exception):
    """A file is not what was published, or does not fit the model."""


@dataclass
class LayerRows:
    """The rows of one layer, float64."""

    whitened_keys: np.ndarray  # E [rows, dInner]
    targets: np.ndarray  # V [rows, dModel]
    gram: np.ndarray  # [rows, rows]
    thresholds: np.ndarray  # tau [rows]
    sketch: np.ndarray | None = None  # Q [sketchRank, dInner]


def memory_of(edit: dict) -> str:
    """The memory that says an edit. Before 0.2 every edit had a row of its own, under its own id."""
    return edit.get("memory", edit["id"])


@dataclass
class RowEdits:
    """What a row says: a subject, and the active edits of its memory."""

    subject: str
    edit_ids: list[str]


class Version:
    """A published version: its segments verified by SHA-256 and replayed, each on top of those before."""

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder).resolve()  # `current` is a link that may move: all files are read behind one target
        self.manifest = manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        if manifest["schemaVersion"] != 1 or manifest["gate"]["kind"] not in ("key", "nearest"):
            raise HookError(f"manifest: schema version 1 and the gate key or nearest, got {manifest['gate']['kind']}")
        d_inner, d_model = manifest["dInner"], manifest["dModel"]
        self.row_ids: list[str] = []  # the memory of each row
        self.layers = {
            layer: LayerRows(np.zeros((0, d_inner)), np.zeros((0, d_model)), np.zeros((0, 0)), np.zeros(0))
            for layer in manifest["layers"]
        }
        for key, sha256 in ((segment["key"], segment["sha256"]) for segment in manifest["segments"]):
            if not SEGMENT_KEY.fullmatch(key):
                raise HookError(f"manifest: a segment below versions/, got {key}")
            data = (folder / key).read_bytes()
            if (digest := hashlib.sha256(data).hexdigest()) != sha256:
                raise HookError(f"{key}: SHA-256 {sha256}, got {digest}")
            self.replay(data, key)
        said: dict[str, RowEdits] = {}
        for edit in (edit for edit in manifest["edits"] if edit["status"] == "active"):
            said.setdefault(memory_of(edit), RowEdits(edit["subject"], [])).edit_ids.append(edit["id"])
        if missing := set(said) - set(self.row_ids):
            raise HookError(f"hooks: rows of the {len(said)} memories of active edits, got none of {min(missing)}")
        if strange := set(self.row_ids) - set(said):
            raise HookError(f"hooks: rows of the {len(said)} memories of active edits, got rows of {min(strange)}")
        self.rows = [said[row_id] for row_id in self.row_ids]

    def replay(self, data: bytes, name: str) -> None:
        """Drops the rows of memories that a segment takes back, and appends those that it adds."""
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
        if header["format"] != "hookline-segment" or header["formatVersion"] not in ("1", "2"):
            raise HookError(f"{name}: a hook segment of format version 1 or 2, got {header}")
        tensors = safetensors.numpy.load(data)
        removed, added = set(json.loads(header["removedIds"])), json.loads(header["addedIds"])
        stays = np.array([row_id not in removed for row_id in self.row_ids], bool)
        self.row_ids = [row_id for row_id in self.row_ids if row_id not in removed] + added
        for layer, before in self.layers.items():
            gram = before.gram[np.ix_(stays, stays)]
            rows = gram_rows(tensors, layer, len(added))  # [new, previous + new]
            if rows.shape[1] != len(self.row_ids):
                raise HookError(f"{name}: gram rows of {len(self.row_ids)} numbers, got {rows.shape[1]}")
            self.layers[layer] = LayerRows(
                np.vstack([before.whitened_keys[stays], decode_rows(tensors, f"{layer}.whitenedKeys")]),
                np.vstack([before.targets[stays], decode_rows(tensors, f"{layer}.targets")]),
                np.vstack([np.hstack([gram, rows[:, : len(gram)].T]), rows]),
                np.concatenate([before.thresholds[stays], tensors[f"{layer}.thresholds"]]),
                decode_rows(tensors, f"{layer}.sketch") if f"{layer}.sketch" in tensors else before.sketch,
            )

    def values(self, layer: int) -> np.ndarray:
        """A [dModel, rows] = V' (lambda I + gram)^-1 with lambda = momentWeight * dInner."""
        rows = self.layers[layer]
        ridge = self.manifest["hyperparameters"]["momentWeight"] * self.manifest["dInner"]
        return np.linalg.solve(rows.gram + ridge * np.eye(len(rows.gram)), rows.targets).T


def decode_rows(tensors: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Rows in eight bits: unit of the row * scale of every 64 numbers * step; peaks are stored as they are."""
    steps = tensors[name]
    sizes = tensors[f"{name}Scales"].astype(np.float64) * tensors[f"{name}Units"].astype(np.float64)[:, None]
    rows = steps * np.repeat(sizes, BLOCK, axis=1)[:, : steps.shape[1]]
    if f"{name}Peaks" in tensors:
        rows[steps == PEAK] = tensors[f"{name}Peaks"]
    return rows


def gram_rows(tensors: dict[str, np.ndarray], layer: int, new: int) -> np.ndarray:
    """K_new' P0 [K_previous K_new]: `gram` packs rows up to the diagonal; what is left of them may stand in `cross`."""
    packed = tensors[f"{layer}.gram"].astype(np.float64)
    previous = (len(packed) - new * (new + 1) // 2) // max(new, 1)  # 0 from format version 2 on
    rows = np.zeros((new, previous + new))
    rows[np.tri(new, previous + new, previous, dtype=bool)] = packed
    rows[:, previous:] += np.tril(rows[:, previous:], -1).T
    cross = tensors.get(f"{layer}.cross")
    if cross is None:
        return rows
    return np.hstack([decode_rows(tensors, f"{layer}.cross") if cross.dtype == np.int8 else cross, rows])


def model_digest(directory: str | Path) -> str:
    """SHA-256 over those of config.json and of the weight files: a manifest's `modelDigest`."""
    names = ["model.safetensors"]
    if not (Path(directory) / names[0]).exists():
        index = json.loads((Path(directory) / "model.safetensors.index.json").read_text("utf-8"))
        names = sorted(set(index["weight_map"].values()))
    files = [np.memmap(Path(directory) / name, np.uint8, "r") for name in ["config.json", *names]]
    return hashlib.sha256(b"".join(hashlib.sha256(file).digest() for file in files)).hexdigest()


@dataclass
class Firing:
    """A gate that opened: on which layer, sequence and position (padding counts), by whose edits."""

    layer: int
    batch: int
    token: int
    subject: str
    edit_ids: list[str]  # all active edits of the subject
    strength: float  # the strongest whitened cosine


class Handle:
    """Attached hooks. `last_firings` are those since the last pass that began without cached tokens."""

    def __init__(self) -> None:
        self.last_firings: list[Firing] = []
        self.past_tokens = 0
        self.hooks: list[torch.utils.hooks.RemovableHandle] = []

    def begin_pass(self, _model: torch.nn.Module, _args: tuple, kwargs: dict) -> None:
        cache = kwargs.get("past_key_values")
        self.past_tokens = cache.get_seq_length() if cache is not None else 0
        if self.past_tokens == 0:
            self.last_firings = []

    def remove(self) -> None:
        for hook in self.hooks:
            hook.remove()


def attach(model: torch.nn.Module, folder: str | Path, model_directory: str | Path | None = None) -> Handle:
    """Hangs a version's hooks on a model; with `model_directory`, its files are first checked against the manifest."""
    version = Version(folder)
    if model_directory is not None and model_digest(model_directory) != version.manifest["modelDigest"]:
        raise HookError(f"{model_directory}: the model with digest {version.manifest['modelDigest']}, got another")
    places = {int(found[1]): module for name, module in model.named_modules() if (found := DOWN_PROJECTION.search(name))}
    if missing := set(version.layers) - set(places):
        raise HookError(f"model: down-projections of layers {sorted(missing)}, got layers {sorted(places)}")
    handle = Handle()
    handle.hooks.append(model.register_forward_pre_hook(handle.begin_pass, with_kwargs=True))
    for layer in version.layers if version.row_ids else []:
        handle.hooks.append(places[layer].register_forward_hook(layer_hook(version, layer, handle)))
    return handle


def layer_hook(version: Version, layer: int, handle: Handle):
    rows, squares = version.layers[layer], np.diag(version.layers[layer].gram)
    is_alone = version.manifest["gate"]["kind"] == "nearest"
    values = (rows.targets / squares[:, None]).T if is_alone else version.values(layer)
    parts = (rows.whitened_keys, values, rows.sketch, np.sqrt(squares), rows.thresholds)
    tensors = [torch.from_numpy(np.ascontiguousarray(part, np.float32)) for part in parts]

    def hook(_module: torch.nn.Module, args: tuple, output: torch.Tensor) -> torch.Tensor:
        tensors[:] = [tensor.to(output.device) for tensor in tensors]
        whitened_keys, values, sketch, norms, thresholds = tensors
        keys = args[0].float()  # [batch, tokens, dInner]
        response = keys @ whitened_keys.T  # E k [batch, tokens, rows]
        key_norms = (keys @ sketch.T).norm(dim=-1, keepdim=True).clamp_min(1e-30)
        similarity = response / (key_norms * norms)
        margin, nearest = (similarity - thresholds).max(dim=-1)
        for batch, token in (margin >= 0).nonzero().tolist():
            row, strength = version.rows[nearest[batch, token]], similarity[batch, token].max().item()
            place = (layer, batch, handle.past_tokens + token)
            handle.last_firings.append(Firing(*place, row.subject, row.edit_ids, strength))
        if is_alone:
            response = torch.zeros_like(response).scatter(-1, nearest[..., None], response.gather(-1, nearest[..., None]))
        edited = (output.float() + response @ values.T).to(output.dtype)
        return torch.where((margin >= 0)[..., None], edited, output)

    return hook


def main() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    parser = argparse.ArgumentParser(description="Answers a prompt with the base model and with a version of it.")
    parser.add_argument("model", help="Hugging Face directory of the base model")
    parser.add_argument("version", help="folder with manifest.json, such as ./version/current")
    parser.add_argument("prompt")
    parser.add_argument("--max-tokens", type=int, default=20)
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model).eval()
    inputs = tokenizer(options.prompt, return_tensors="pt", return_token_type_ids=False)

    def answer() -> str:
        settings = {"max_new_tokens": options.max_tokens, "do_sample": False, "pad_token_id": tokenizer.eos_token_id}
        ids = model.generate(**inputs, **settings)
        return tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :])

    print("base:  ", answer())
    handle = attach(model, options.version, options.model)
    print("edited:", answer())
    for firing in handle.last_firings:
        edits = ", ".join(firing.edit_ids)
        print(f"  {firing.subject} ({edits}) at token {firing.token}, layer {firing.layer}, strength {firing.strength:.2f}")


if __name__ == "__main__":
    main()
