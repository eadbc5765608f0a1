"""Sample varied prose, lists, dialogue and code from a causal language model, one JSON line a document.

    python scripts/corpus/sample_model.py --model DIR --out sampled.jsonl [--documents 7000] [--device cuda]

Sampling is seeded; the same seed on other hardware gives text of the same kind, not the same bytes, which is why
the finished corpus is shipped with its checksum instead of being rebuilt by users.
"""

import argparse
import json
import random
import time

import torch
from grid import GENRES_CODE, GENRES_ENGLISH, GENRES_OTHER_LANGUAGES, OPENINGS, TOPICS
from transformers import AutoModelForCausalLM, AutoTokenizer


def plan(n_documents: int, rng: random.Random) -> list[dict]:
    """Draw (kind, prompt) pairs: 62 % English genres, 18 % openings, 12 % code, 8 % other languages."""
    jobs = []
    for _ in range(n_documents):
        topic, draw = rng.choice(TOPICS), rng.random()
        if draw < 0.62:
            genre = rng.choice(GENRES_ENGLISH)
            jobs.append(
                {"kind": "english", "genre": genre, "topic": topic, "chat": f"Write {genre.format(topic=topic)}."}
            )
        elif draw < 0.80:
            opening = rng.choice(OPENINGS)
            text = opening.format(topic=topic)
            jobs.append({"kind": "opening", "genre": opening, "topic": topic, "raw": text[0].upper() + text[1:]})
        elif draw < 0.92:
            genre = rng.choice(GENRES_CODE)
            jobs.append({"kind": "code", "genre": genre, "topic": topic, "chat": f"Write {genre.format(topic=topic)}."})
        else:
            genre = rng.choice(GENRES_OTHER_LANGUAGES)
            jobs.append({"kind": "language", "genre": genre, "topic": topic, "chat": genre.format(topic=topic)})
    return jobs


def prompt_ids(job: dict, tokenizer) -> list[int]:
    if "raw" in job:
        return [0, *tokenizer(job["raw"], add_special_tokens=False).input_ids]
    text = f"<|im_start|>user\n{job['chat']}<|im_end|>\n<|im_start|>assistant\n"
    return tokenizer(text, add_special_tokens=False).input_ids


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--gguf-file")
    parser.add_argument("--out", required=True)
    parser.add_argument("--documents", type=int, default=7000)
    parser.add_argument("--max-new-tokens", type=int, default=300)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=20261121)
    args = parser.parse_args()

    extra = {"gguf_file": args.gguf_file} if args.gguf_file else {}
    tokenizer = AutoTokenizer.from_pretrained(args.model, **extra)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.bfloat16, **extra).to(args.device).eval()
    torch.manual_seed(args.seed)
    jobs = plan(args.documents, random.Random(args.seed))
    started, made = time.time(), 0
    with open(args.out, "w", encoding="utf-8") as out:
        for start in range(0, len(jobs), args.batch):
            batch = jobs[start : start + args.batch]
            ids = [prompt_ids(job, tokenizer) for job in batch]
            width = max(map(len, ids))
            padded = torch.tensor([[2] * (width - len(row)) + row for row in ids], device=args.device)
            mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids], device=args.device)
            out_ids = model.generate(
                input_ids=padded, attention_mask=mask, max_new_tokens=args.max_new_tokens, do_sample=True,
                temperature=0.9, top_p=0.95, top_k=0, repetition_penalty=1.08, pad_token_id=2, eos_token_id=[0, 2],
            )  # fmt: skip
            for job, row in zip(batch, out_ids[:, width:].tolist(), strict=True):
                ended = next((i for i, token in enumerate(row) if token in (0, 2)), None)
                text = tokenizer.decode(row[:ended], skip_special_tokens=True)
                text = job.get("raw", "") + text
                made += len(row) if ended is None else ended
                record = {
                    "source": "smollm2-135m",
                    **{k: job[k] for k in ("kind", "genre", "topic")},
                    "text": text,
                    "finished": ended is not None,
                }
                out.write(json.dumps(record, ensure_ascii=False) + "\n")
            out.flush()
            print(
                f"{start + len(batch)} documents, {made} tokens, {made / (time.time() - started):.0f} tokens/s",
                flush=True,
            )


if __name__ == "__main__":
    main()
