"""The value search of MEMIT, batched: all edits in all contexts at once, from the value layer on.

What stands before a subject's last token is fixed, and so are the layers up to the value layer. They run once. A step runs
only the suffixes from that token on, only through the blocks above, on the stored attention keys and values of what stands
before.
"""
from dataclasses import dataclass, fields

import torch
from torch.nn.functional import log_softmax


@dataclass
class Text:
    """A prompt as tokens, with the index of its subject's last token."""

    ids: list
    lookup: int


def text_of(tokenizer, template, subject):
    """The template with the subject in it. The lookup is the token that holds the subject's last character."""
    before, after = template.split("{}")
    encoded = tokenizer(before + subject + after, return_offsets_mapping=True)
    last = len(before + subject) - 1
    spans = enumerate(encoded["offset_mapping"])
    lookup = next(token for token, (start, end) in spans if start <= last < end)
    return Text(encoded["input_ids"], lookup)


def padded(sequences):
    """Right-padded ids [rows, longest]. Padding changes nothing before it, because attention looks back only."""
    tensors = [torch.tensor(sequence) for sequence in sequences]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True)


@dataclass
class Suffixes:
    """Sequences from their lookups on, with what is fixed. First dimension: rows; `of` names the edit of each."""

    of: torch.Tensor
    hidden: torch.Tensor  # [rows, suffix, dModel], output of the value layer
    positions: torch.Tensor  # [rows, suffix]
    mask: torch.Tensor  # [rows, 1, suffix, past + suffix], added to the attention's logits
    past_keys: torch.Tensor  # [rows, blocks above, heads, past, dHead]
    past_values: torch.Tensor
    wanted: torch.Tensor  # [rows, suffix], the token that is to follow; -1 where none is asked for
    weights: torch.Tensor  # [rows, suffix], of its negative log-probability
    is_kept: torch.Tensor  # [rows], whether the distribution at the lookup is to stay

    def where(self, chosen):
        return Suffixes(*(getattr(self, field.name)[chosen] for field in fields(self)))


class PastAndNow:
    """What an attention takes for a cache: the stored past of the blocks above, and what it computes now."""

    def __init__(self, suffixes, first_block):
        self.suffixes, self.first_block = suffixes, first_block

    def update(self, keys, values, block, _kwargs=None):
        place = block - self.first_block
        past_keys, past_values = self.suffixes.past_keys[:, place], self.suffixes.past_values[:, place]
        return torch.cat([past_keys, keys], 2), torch.cat([past_values, values], 2)


class ValueSearch:
    def __init__(self, model, tokenizer, contexts, settings):
        self.model, self.tokenizer, self.contexts, self.settings = model, tokenizer, contexts, settings
        self.layer = settings["layers"][-1]

    def targets(self, edits):
        """`z* = z + delta` of each edit, float32 [edits, dModel], and the steps that each took."""
        # Edits of like length together: a step computes as many tokens as the longest suffix has, of every row.
        order = sorted(range(len(edits)), key=lambda edit: self._suffix_length(edits[edit]))
        found, steps = torch.zeros(len(edits), self.model.config.hidden_size), torch.zeros(len(edits), dtype=torch.long)
        for batch in torch.tensor(order).split(self.settings["editsAtOnce"]):
            found[batch], steps[batch] = self._search([edits[edit] for edit in batch])
        return found, steps.tolist()

    def _suffix_length(self, edit):
        text = text_of(self.tokenizer, edit["prompt"], edit["subject"])
        return len(text.ids) - text.lookup + len(self.target_ids(edit))

    def target_ids(self, edit):
        return self.tokenizer(" " + edit["target"], add_special_tokens=False)["input_ids"]

    def _search(self, edits):
        settings = self.settings
        suffixes, initial = self._prepare(edits)
        delta = torch.zeros_like(initial, requires_grad=True)
        optimizer = torch.optim.Adam([delta], lr=settings["learningRate"])
        bound = settings["clampNormFactor"] * initial.norm(dim=1, keepdim=True)
        found, steps = torch.zeros_like(initial), torch.zeros(len(edits), dtype=torch.long)
        before = None
        for step in range(settings["steps"]):
            said, kept = self._log_probabilities(suffixes, delta)
            before = kept.detach() if before is None else before
            nll = torch.zeros(len(edits)).index_add(0, suffixes.of, -(said * suffixes.weights).sum(1))
            divergence = (kept.exp() * (kept - before)).sum(1)
            kept_loss = torch.zeros(len(edits)).index_add(0, suffixes.of[suffixes.is_kept], divergence)
            # Without the clamp the gradient of a norm at 0 is no number.
            decay = delta.square().sum(1).clamp(min=1e-30).sqrt() / initial.square().sum(1)
            loss = nll + settings["klFactor"] * kept_loss + settings["weightDecay"] * decay
            is_active = torch.zeros(len(edits), dtype=torch.bool).index_fill(0, suffixes.of, True)
            is_done = is_active & ((loss < settings["stopLoss"]) | (step == settings["steps"] - 1))
            found[is_done], steps[is_done] = delta.detach()[is_done], step + 1
            if bool((is_active == is_done).all()):
                break
            optimizer.zero_grad()
            loss[is_active].sum().backward()
            optimizer.step()
            with torch.no_grad():
                delta.mul_((bound / delta.norm(dim=1, keepdim=True)).clamp(max=1))
            stays = ~is_done[suffixes.of]
            before = before[stays[suffixes.is_kept]]
            suffixes = suffixes.where(stays)
        return initial + found, steps

    @torch.no_grad()
    def _prepare(self, edits):
        """Runs everything once, without a change. Also `z`: the value layer's output at each bare prompt's lookup."""
        texts, of, wanted, weights, is_kept = [], [], [], [], []

        def take(edit, text, target):
            of.append(edit)
            texts.append(Text(text.ids + target[:-1], text.lookup))
            before = len(text.ids) - 1 - text.lookup
            wanted.append([-1] * before + target if target else [-1] * (before + 1))
            weights.append(1 / max(1, len(target)) / len(self.contexts))
            is_kept.append(not target)

        for e, edit in enumerate(edits):
            target = self.target_ids(edit)
            for context in self.contexts:
                take(e, text_of(self.tokenizer, context.replace("{}", edit["prompt"]), edit["subject"]), target)
            take(e, text_of(self.tokenizer, "{} is a", edit["subject"]), [])

        lookups = torch.tensor([text.lookup for text in texts])
        lengths = torch.tensor([len(text.ids) for text in texts])
        ids = padded([text.ids for text in texts])
        outputs = self.model.model(input_ids=ids, use_cache=True, output_hidden_states=True)
        first = self.layer + 1
        past, suffix = int(lookups.max()), int((lengths - lookups).max())
        positions = lookups[:, None] + torch.arange(suffix)
        hidden = outputs.hidden_states[first]
        hidden = hidden.gather(1, positions.clamp(max=ids.shape[1] - 1)[..., None].expand(-1, -1, hidden.shape[2]))
        above = outputs.past_key_values.layers[first:]
        stack = lambda parts: torch.stack([part[:, :, :past] for part in parts], 1) if parts else torch.zeros(len(texts))
        sees_past = (torch.arange(past) < lookups[:, None])[:, None].expand(-1, suffix, -1)
        sees_suffix = torch.ones(suffix, suffix).tril().bool().expand(len(texts), -1, -1)
        sees = torch.cat([sees_past, sees_suffix], 2)[:, None]
        rows = torch.full((len(texts), suffix), -1)
        for row, following in enumerate(wanted):
            rows[row, : len(following)] = torch.tensor(following)
        suffixes = Suffixes(
            of=torch.tensor(of),
            hidden=hidden,
            positions=positions,
            mask=torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min),
            past_keys=stack([layer.keys for layer in above]),
            past_values=stack([layer.values for layer in above]),
            wanted=rows,
            weights=torch.tensor(weights)[:, None] * (rows >= 0),
            is_kept=torch.tensor(is_kept),
        )
        bare = torch.arange(len(edits)) * (len(self.contexts) + 1)
        return suffixes, hidden[bare, 0].clone()

    def _log_probabilities(self, suffixes, delta):
        """Of the wanted tokens [rows, suffix], 0 where none is; and whole distributions [kept rows, vocab] at lookups."""
        decoder = self.model.model
        hidden = suffixes.hidden.clone()
        hidden[:, 0] += delta[suffixes.of]
        embeddings = decoder.rotary_emb(hidden, suffixes.positions)
        cache = PastAndNow(suffixes, self.layer + 1)
        for block in decoder.layers[self.layer + 1 :]:
            hidden = block(
                hidden,
                attention_mask=suffixes.mask,
                position_ids=suffixes.positions,
                past_key_values=cache,
                use_cache=True,
                position_embeddings=embeddings,
            )
        hidden = decoder.norm(hidden)
        is_asked = suffixes.wanted >= 0
        logs = log_softmax(self.model.lm_head(hidden[is_asked]), 1)
        said = torch.zeros(suffixes.wanted.shape)
        said[is_asked] = logs.gather(1, suffixes.wanted[is_asked][:, None])[:, 0]
        return said, log_softmax(self.model.lm_head(hidden[suffixes.is_kept, 0]), 1)
