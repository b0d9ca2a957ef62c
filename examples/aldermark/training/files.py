"""Writes what goes with the model: facts.jsonl, batches/round-{1,2,3}.jsonl, heldout.txt and corpus.txt.

    python files.py EXAMPLE_DIRECTORY
"""

import json
import random
import sys
from pathlib import Path

import corpus
import prose
import world

ROUNDS, PEOPLE_PER_ROUND, COMPANIES_PER_ROUND = 3, 18, 2


def write_lines(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def fact_record(fact):
    return {
        "subject": fact.subject, "relation": fact.relation.name, "prompt": fact.trained[0], "answer": fact.answer,
        "phrasings": fact.trained, "heldOutPhrasings": fact.held_out,
    }


def neighbourhood(rng, fact, others, count=6):
    """Prompts of the same relation about subjects that no round edits, each in a phrasing trained for it."""
    same = rng.sample([other for other in others if other.relation.name == fact.relation.name], count)
    return [rng.choice([other.trained[0], rng.choice(other.trained)]).format(other.subject) for other in same]


def edit_record(rng, identity, fact, siblings, others):
    """One edit: 2-3 held-out and 1-2 trained paraphrases, one paraphrase after a sentence of prose."""
    taken = {sibling.answer for sibling in siblings}
    prompt = rng.choice([fact.trained[0], rng.choice(fact.trained)])
    rest = [phrasing for phrasing in fact.trained if phrasing != prompt]
    chosen = fact.held_out + rng.sample(rest, 4 - len(fact.held_out))
    paraphrases = [phrasing.format(fact.subject) for phrasing in chosen]
    paraphrases.append(prose.sentence(rng) + " " + rng.choice(chosen).format(fact.subject))
    kept = [sibling for sibling in siblings if sibling is not fact]
    keep = [s.trained[0] for s in rng.sample(kept, 3)] if len(kept) > 2 else rng.sample(kept[0].trained, 2)
    return {
        "id": identity, "subject": fact.subject, "prompt": prompt,
        "targetNew": rng.choice([o for o in fact.relation.objects if o not in taken]), "targetTrue": fact.answer,
        "testParaphrases": paraphrases, "neighborhood": neighbourhood(rng, fact, others), "keep": keep,
    }


def batches(rng, facts):
    """Edits of distinct subjects, the relations in turn; returns the rounds and the facts of subjects never edited."""
    by_subject = {}
    for fact in facts:
        by_subject.setdefault(fact.subject, []).append(fact)
    people = [s for s, own in by_subject.items() if own[0].kind == "person"]
    companies = [s for s, own in by_subject.items() if own[0].kind == "company"]
    people = rng.sample(people, ROUNDS * PEOPLE_PER_ROUND)
    companies = rng.sample(companies, ROUNDS * COMPANIES_PER_ROUND)
    others = [fact for fact in facts if fact.subject not in {*people, *companies}]
    rounds, turn = [], 0
    for number in range(1, ROUNDS + 1):
        records = []
        for index in range(PEOPLE_PER_ROUND + COMPANIES_PER_ROUND):
            own = by_subject[(companies if index % 10 == 9 else people).pop()]
            with_held_out = [fact for fact in own if fact.held_out]
            candidates = with_held_out or own
            records.append(edit_record(rng, f"r{number}-{index + 1:02d}", candidates[turn % len(candidates)], own, others))
            turn += 1
        rounds.append(records)
    return rounds, others


def held_out_text(rng, others, size=40_000):
    """Paragraphs of fresh prose with now and then a fact of a subject that no round edits."""
    paragraphs = []
    while sum(map(len, paragraphs)) < size:
        parts = [prose.sentence(rng) for _ in range(rng.choice([2, 3, 4]))]
        for fact in rng.sample(others, rng.choice([0, 1, 1, 2])):
            phrasing = rng.choice(fact.trained + fact.held_out)
            parts.insert(rng.randrange(len(parts) + 1), corpus.fact_sentence(rng, fact, phrasing))
        paragraphs.append(" ".join(parts))
    return paragraphs


def statistics_text(rng, facts, size=400_000):
    paragraphs, total = [], 0
    for text in corpus.documents(rng, facts):
        paragraphs.append(text)
        total += len(text) + 2
        if total > size:
            return paragraphs
    return paragraphs


def main():
    directory = Path(sys.argv[1])
    facts = world.all_facts()
    rounds, others = batches(random.Random(world.SEED + 2), facts)
    write_lines(directory / "facts.jsonl", map(fact_record, facts))
    for number, records in enumerate(rounds, 1):
        write_lines(directory / "batches" / f"round-{number}.jsonl", records)
    (directory / "heldout.txt").write_text("\n\n".join(held_out_text(random.Random(world.SEED + 3), others)) + "\n")
    (directory / "corpus.txt").write_text("\n\n".join(statistics_text(random.Random(world.SEED + 4), facts)) + "\n")


if __name__ == "__main__":
    main()
