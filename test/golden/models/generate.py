"""Writes the parity goldens: for each architecture a tiny random Hugging Face directory and what the reference says of it.

    python generate.py            # all architectures
    python generate.py llama gpt2 # some of them

The equations are in reference.py, the layout of the output in README.md, the versions used in versions.json.
"""

from __future__ import annotations

import json
import platform
import random
import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import safetensors
import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, PretrainedConfig

sys.dont_write_bytecode = True

from reference import TERMS, Decision, Edit, EditableModel, Prompt, RoundEngine, ValueSearch, ValueSettings, key_moment

HERE = Path(__file__).parent
VOCAB, D_MODEL, D_INNER, LAYERS = 80, 32, 48, 2
SUBJECT_IDS = range(60, VOCAB)  # subjects are made of these, all other text of the ids below
SEQUENCE_LENGTHS = (5, 9, 12)
RIDGE_FACTOR = 1e-3
VALUE_SETTINGS = ValueSettings(
    kl_factor=0.0625, keep_factor=1.0, weight_decay=0.5, clamp_norm_factor=0.75, learning_rate=0.3, steps=6
)
# At the last block only the lookup position's own logits depend on delta, so there the edits' prompts end with the subject.
VALUE_EDITS = {0: [0, 1, 2], 1: [2, 3, 4]}
HOOKED_LAYERS, BATCHES, GATES = [0, 1], [[0, 1, 2], [3, 4, 5]], ["key", "sequence", "none"]
MOMENT_WEIGHT, TAU, ALPHA, TARGET_DISTANCE = 20.0, 0.6, 2.2, 0.5
# Every gate score keeps this distance from its threshold (or equals it, where it set it), so that float32 decides the same.
SCORE_MARGIN = 2e-3
# What a test may take off a golden alpha, so that the token that set it (score == alpha) opens in float32 too.
THRESHOLD_SLACK = 1e-3


@dataclass(frozen=True)
class Architecture:
    name: str
    seed: int
    model_type: str
    config: dict[str, object]
    dtype: torch.dtype = torch.float32
    shard_size: str = "10MB"

    def build_config(self) -> PretrainedConfig:
        return transformers.AutoConfig.for_model(self.model_type, **self.config, bos_token_id=None, eos_token_id=None)


def llama_like(**changes: object) -> dict[str, object]:
    return {
        "vocab_size": VOCAB,
        "hidden_size": D_MODEL,
        "intermediate_size": D_INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        **changes,
    }


def gpt_neox(**changes: object) -> dict[str, object]:
    return {
        "vocab_size": VOCAB,
        "hidden_size": D_MODEL,
        "intermediate_size": D_INNER,
        "num_hidden_layers": LAYERS,
        "max_position_embeddings": 64,
        "rotary_pct": 0.25,
        "hidden_act": "gelu",
        "tie_word_embeddings": False,
        **changes,
    }


GPT = {"vocab_size": VOCAB, "n_embd": D_MODEL, "n_inner": D_INNER, "n_layer": LAYERS, "n_head": 4, "n_positions": 32}
LLAMA3_ROPE = {  # of the four wavelengths one is kept, one is blended, two are stretched
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}

ARCHITECTURES = [
    Architecture("llama", 100, "llama", llama_like(rope_theta=10000.0)),
    Architecture("llama3-rope", 200, "llama", llama_like(tie_word_embeddings=True, rope_scaling=LLAMA3_ROPE)),
    Architecture("mistral", 300, "mistral", llama_like(head_dim=12, sliding_window=4, rope_theta=1000.0)),
    Architecture("qwen2", 400, "qwen2", llama_like(use_sliding_window=False, rope_theta=1e6, rms_norm_eps=1e-6)),
    Architecture("qwen3", 500, "qwen3", llama_like(head_dim=16, rope_theta=1e6, rms_norm_eps=1e-6)),
    Architecture("smollm3", 1200, "smollm3", llama_like(no_rope_layers=[1, 0], rope_theta=1e6, pad_token_id=None)),
    Architecture("phi3", 1300, "phi3", llama_like(partial_rotary_factor=0.5, sliding_window=6, pad_token_id=None)),
    Architecture("gpt2", 600, "gpt2", GPT),
    Architecture("gptj", 700, "gptj", {**GPT, "rotary_dim": 4, "tie_word_embeddings": False}),
    Architecture("gpt_neox", 800, "gpt_neox", gpt_neox(num_attention_heads=2, use_parallel_residual=True)),
    Architecture("gpt_neox-serial", 900, "gpt_neox", gpt_neox(num_attention_heads=4, use_parallel_residual=False)),
    Architecture("llama-f16", 1000, "llama", llama_like(), dtype=torch.float16),
    Architecture("llama-bf16", 1100, "llama", llama_like(), dtype=torch.bfloat16, shard_size="22KB"),
]


# ----------------------------------------------------------------------------------------------------------------------
# Models
# ----------------------------------------------------------------------------------------------------------------------


def randomise(model: torch.nn.Module, seed: int, tied: bool) -> None:
    """Weights large enough for every term to matter: peaked attention, norm gains away from 1, biases away from 0."""
    generator = torch.Generator().manual_seed(seed)
    conv = {f"{name}.weight" for name, module in model.named_modules() if type(module).__name__ == "Conv1D"}
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim == 1:
            value = 0.2 * noise if name.endswith("bias") else 1 + 0.3 * noise
        elif re.search(r"(wte|wpe|embed_tokens|embed_in)\.weight", name):
            value = (0.3 if tied or "wpe" in name else 0.6) * noise
        else:
            fan_in = parameter.shape[0] if name in conv else parameter.shape[1]
            gain = 1.6 if re.search(r"q_proj|k_proj|qkv_proj|c_attn|query_key_value", name) else 1.2
            value = gain * noise / fan_in**0.5
        parameter.data.copy_(value)


def write_model(architecture: Architecture, directory: Path) -> None:
    config = architecture.build_config()
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    randomise(model, architecture.seed, config.tie_word_embeddings)
    model.to(architecture.dtype).save_pretrained(directory, max_shard_size=architecture.shard_size)
    (directory / "generation_config.json").unlink(missing_ok=True)


def read_model(directory: Path, dtype: torch.dtype = torch.float64) -> EditableModel:
    """The model as it lies on disk (so with rounded weights where they are stored as halves), computing in `dtype`."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
    return EditableModel(model.to(dtype))


# ----------------------------------------------------------------------------------------------------------------------
# Text
# ----------------------------------------------------------------------------------------------------------------------

#              before, subject, after, target: lengths in tokens
EDIT_SHAPES = [(3, 2, 3, 1), (2, 3, 2, 2), (6, 2, 0, 3), (5, 1, 0, 1), (7, 3, 0, 2), (0, 2, 5, 3)]
KL_SUFFIX_LENGTH, PREFIX_LENGTHS = 2, (3, 4)


class Text:
    """Random ids; the subjects of different edits share no token."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.subject_pool = self.random.sample(SUBJECT_IDS, len(SUBJECT_IDS))

    def words(self, length: int) -> list[int]:
        return [self.random.randrange(SUBJECT_IDS.start) for _ in range(length)]

    def subject(self, length: int) -> list[int]:
        return [self.subject_pool.pop() for _ in range(length)]

    @staticmethod
    def prompt(before: list[int], subject: list[int], after: list[int]) -> Prompt:
        return Prompt(before + subject + after, len(before) + len(subject) - 1)

    def edit(self, before: int, subject: int, after: int, target: int, kl_suffix: list[int], prefixes: list[list[int]]) -> Edit:
        name, head, tail = self.subject(subject), self.words(before), self.words(after)
        return Edit(
            subject=name,
            prompts=[self.prompt(prefix + head, name, tail) for prefix in [[], *prefixes]],
            target_ids=self.words(target),
            kl_prompt=self.prompt([], name, kl_suffix),
            keep_prompts=[self.prompt(self.words(2), name, self.words(3)), self.prompt(self.words(4), name, [])],
        )

    def edits(self) -> list[Edit]:
        prefixes, suffix = [self.words(length) for length in PREFIX_LENGTHS], self.words(KL_SUFFIX_LENGTH)
        return [self.edit(*shape, suffix, prefixes) for shape in EDIT_SHAPES]

    def sequences(self, edits: list[Edit]) -> list[list[int]]:
        """Random ones; the two longer ones mention a subject of each round."""
        sequences = [self.words(length) for length in SEQUENCE_LENGTHS]
        sequences[1][4:6] = edits[0].subject
        sequences[2][6:9] = edits[4].subject
        return sequences

    def moment_sequences(self) -> list[list[int]]:
        return [[self.random.randrange(VOCAB) for _ in range(self.random.randint(8, 16))] for _ in range(40)]


# ----------------------------------------------------------------------------------------------------------------------
# Goldens
# ----------------------------------------------------------------------------------------------------------------------


class MarginTooSmall(Exception):
    """A gate score lies too near its threshold for float32 to be sure of the decision."""


@dataclass
class Goldens:
    """Named arrays and the JSON that goes with them."""

    arrays: dict[str, torch.Tensor] = field(default_factory=dict)
    json: dict[str, object] = field(default_factory=dict)

    def put(self, name: str, array: torch.Tensor, dtype: torch.dtype = torch.float32) -> None:
        assert name not in self.arrays and bool(torch.isfinite(array.double()).all()), name
        self.arrays[name] = array.detach().to(dtype).contiguous().clone()


def put_forward(goldens: Goldens, model: EditableModel, sequences: list[list[int]]) -> None:
    for index, ids in enumerate(sequences):
        trace = model.run(ids)
        goldens.put(f"forward.{index}.logits", trace.logits)
        for layer in range(LAYERS):
            goldens.put(f"forward.{index}.layer.{layer}.keys", trace.keys[layer])
            goldens.put(f"forward.{index}.layer.{layer}.downOutputs", trace.down_outputs[layer])
            goldens.put(f"forward.{index}.layer.{layer}.blockOutputs", trace.block_outputs[layer])


def put_moments(goldens: Goldens, model: EditableModel, sequences: list[list[int]]) -> dict[int, torch.Tensor]:
    moments, ridges = {}, []
    for layer in range(LAYERS):
        moments[layer], ridge = key_moment(model, sequences, layer, RIDGE_FACTOR)
        ridges.append(ridge)
        goldens.put(f"moment.layer.{layer}.moment", moments[layer], torch.float64)
    goldens.json["moment"] = {
        "ridgeFactor": RIDGE_FACTOR,
        "ridges": ridges,
        "tokens": sum(map(len, sequences)),
        "sequences": sequences,
    }
    return moments


def put_values(goldens: Goldens, model: EditableModel, edits: list[Edit], generator: torch.Generator) -> None:
    for layer, chosen in VALUE_EDITS.items():
        searches = [ValueSearch(model, layer, edits[e], VALUE_SETTINGS) for e in chosen]
        z = torch.stack([search.z for search in searches])
        noise = torch.randn(z.shape, generator=generator, dtype=torch.float64)
        random_deltas = 0.4 * noise / noise.norm(dim=1, keepdim=True) * z.norm(dim=1, keepdim=True)
        points = {"zero": torch.zeros_like(z), "random": random_deltas}
        goldens.put(f"value.layer.{layer}.z", z, torch.float64)
        for point, deltas in points.items():
            found = [search.terms_and_gradient(delta) for search, delta in zip(searches, deltas)]
            goldens.put(f"value.layer.{layer}.{point}.deltas", deltas, torch.float64)
            goldens.put(f"value.layer.{layer}.{point}.terms", torch.stack([terms for terms, _ in found]), torch.float64)
            goldens.put(f"value.layer.{layer}.{point}.gradients", torch.stack([g for _, g in found]), torch.float64)
        found = [search.minimise() for search in searches]
        deltas, terms = torch.stack([d for d, _ in found]), torch.stack([t for _, t in found])
        goldens.put(f"value.layer.{layer}.trajectory.deltas", deltas, torch.float64)
        goldens.put(f"value.layer.{layer}.trajectory.terms", terms, torch.float64)
        goldens.put(f"value.layer.{layer}.trajectory.targets", z + deltas[:, -1], torch.float64)
    goldens.json["value"] = {
        "edits": {str(layer): chosen for layer, chosen in VALUE_EDITS.items()},
        "terms": TERMS,
        "klFactor": VALUE_SETTINGS.kl_factor,
        "keepFactor": VALUE_SETTINGS.keep_factor,
        "weightDecay": VALUE_SETTINGS.weight_decay,
        "clampNormFactor": VALUE_SETTINGS.clamp_norm_factor,
        "learningRate": VALUE_SETTINGS.learning_rate,
        "steps": VALUE_SETTINGS.steps,
        "adam": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    }


def draw_targets(model: EditableModel, edits: list[Edit], generator: torch.Generator) -> torch.Tensor:
    """Z* [M, edits]: z of the base model plus noise of half its norm; given, not searched."""
    columns = []
    for edit in edits:
        bare = edit.prompts[0]
        z = model.run(bare.ids).block_outputs[HOOKED_LAYERS[-1]][bare.lookup_index]
        noise = torch.randn(z.shape, generator=generator, dtype=torch.float64)
        columns.append(z + TARGET_DISTANCE * z.norm() * noise / noise.norm())
    return torch.stack(columns, dim=1)


def check_margin(decision: Decision) -> None:
    if decision.scores is None:
        return
    distances = (decision.scores - decision.threshold).abs()
    if bool(((distances < SCORE_MARGIN) & (distances > 1e-12)).any()):
        raise MarginTooSmall


def put_rounds(
    goldens: Goldens,
    model: EditableModel,
    moments: dict[int, torch.Tensor],
    edits: list[Edit],
    sequences: list[list[int]],
    generator: torch.Generator,
) -> None:
    batches = [[edits[e] for e in batch] for batch in BATCHES]
    targets = [draw_targets(model, batch, generator) for batch in batches]
    for index, batch_targets in enumerate(targets):
        goldens.put(f"rounds.targets.{index}", batch_targets, torch.float64)
    for gate in GATES:
        engine = RoundEngine(model, moments, gate, MOMENT_WEIGHT, TAU, ALPHA, check_margin)
        for index, batch in enumerate(batches):
            record = engine.round(batch, targets[index])
            for layer, found in record.layers.items():
                prefix = f"rounds.{gate}.{index}.layer.{layer}"
                goldens.put(f"{prefix}.keys", found.keys, torch.float64)
                goldens.put(f"{prefix}.outputs", found.outputs, torch.float64)
                goldens.put(f"{prefix}.residuals", found.residuals, torch.float64)
                goldens.put(f"{prefix}.deltaWeight", found.delta_weight)
            if gate == "sequence":
                goldens.put(f"rounds.{gate}.{index}.maxScores", record.max_scores, torch.float64)
                goldens.put(f"rounds.{gate}.{index}.alphas", record.alphas, torch.float64)
        put_edited(goldens, engine, sequences, edits)
    goldens.json["rounds"] = {
        "layers": HOOKED_LAYERS,
        "batches": BATCHES,
        "gates": GATES,
        "momentWeight": MOMENT_WEIGHT,
        "tau": TAU,
        "alpha": ALPHA,
        "thresholdSlack": THRESHOLD_SLACK,
    }


def put_edited(goldens: Goldens, engine: RoundEngine, sequences: list[list[int]], edits: list[Edit]) -> None:
    """The edited model after the last round, on the forward sequences and on every edit's bare prompt."""
    texts = {f"sequence.{i}": ids for i, ids in enumerate(sequences)}
    texts |= {f"prompt.{e}": edit.prompts[0].ids for e, edit in enumerate(edits)}
    for name, ids in texts.items():
        trace = engine.run(ids, engine.validated())
        prefix = f"edited.{engine.gate}.{name}"
        goldens.put(f"{prefix}.logits", trace.logits)
        for layer, decision in trace.decisions.items():
            goldens.put(f"{prefix}.layer.{layer}.open", decision.open, torch.uint8)
            if decision.scores is not None:
                goldens.put(f"{prefix}.layer.{layer}.scores", decision.scores, torch.float64)
            if decision.edits is not None:
                goldens.put(f"{prefix}.layer.{layer}.edits", decision.edits, torch.int32)


def check_gates_do_both(goldens: Goldens) -> None:
    """A gate that is always open or always closed would prove nothing."""
    for gate in ("key", "sequence"):
        for layer in HOOKED_LAYERS:
            opens = [a for n, a in goldens.arrays.items() if re.fullmatch(rf"edited\.{gate}\..*\.layer\.{layer}\.open", n)]
            share = torch.cat(opens).double().mean().item()
            assert 0.03 < share < 0.6, (gate, layer, share)


def prompt_json(prompt: Prompt) -> dict[str, object]:
    return {"ids": prompt.ids, "lookupIndex": prompt.lookup_index}


def edit_json(edit: Edit) -> dict[str, object]:
    return {
        "subject": edit.subject,
        "prompts": [prompt_json(prompt) for prompt in edit.prompts],
        "targetIds": edit.target_ids,
        "klPrompt": prompt_json(edit.kl_prompt),
        "keepPrompts": [prompt_json(prompt) for prompt in edit.keep_prompts],
    }


def make_goldens(architecture: Architecture, model: EditableModel, text_seed: int) -> Goldens:
    text, generator = Text(text_seed), torch.Generator().manual_seed(text_seed)
    edits = text.edits()
    sequences = text.sequences(edits)
    names = {id(module): name for name, module in model.model.named_modules()}
    goldens = Goldens()
    goldens.json = {
        "name": architecture.name,
        "modelType": architecture.model_type,
        "weightDtype": str(architecture.dtype).removeprefix("torch."),
        "seeds": {"weights": architecture.seed, "text": text_seed},
        "dimensions": {"vocab": VOCAB, "dModel": D_MODEL, "dInner": D_INNER, "layers": LAYERS},
        "downProjections": [f"{names[id(module)]}.weight" for module in model.down_projections],
        "sequences": sequences,
        "edits": [edit_json(edit) for edit in edits],
    }
    put_forward(goldens, model, sequences)
    moments = put_moments(goldens, model, text.moment_sequences())
    put_rounds(goldens, model, moments, edits, sequences, generator)
    put_values(goldens, model, edits, generator)
    check_gates_do_both(goldens)
    return goldens


def write_json(path: Path, value: object) -> None:
    """Indented, but each list of numbers on one line."""
    text = json.dumps(value, indent=2)
    text = re.sub(r"\[[\s\d.,eE+-]*\]", lambda found: "[" + ", ".join(re.findall(r"[^\s,\[\]]+", found[0])) + "]", text)
    path.write_text(text + "\n")


def generate(architecture: Architecture) -> None:
    directory = HERE / architecture.name
    shutil.rmtree(directory, ignore_errors=True)
    write_model(architecture, directory)
    model = read_model(directory)
    for text_seed in range(architecture.seed, architecture.seed + 50):
        try:
            goldens = make_goldens(architecture, model, text_seed)
            break
        except MarginTooSmall:
            continue
    else:
        raise RuntimeError(f"{architecture.name}: no text seed keeps every gate score away from its threshold")
    save_file(goldens.arrays, directory / "goldens.safetensors")
    for weights in directory.glob("*.safetensors"):
        weights.chmod(0o644)
    write_json(directory / "goldens.json", goldens.json)
    print(f"{architecture.name}: text seed {text_seed}, {len(goldens.arrays)} arrays")


def main() -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    chosen = sys.argv[1:]
    for architecture in ARCHITECTURES:
        if not chosen or architecture.name in chosen:
            generate(architecture)
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__,
        "safetensors": safetensors.__version__,
    }
    write_json(HERE / "versions.json", versions)


if __name__ == "__main__":
    main()
