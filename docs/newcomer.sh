#!/bin/sh
# Your own text, model, hypothesis, server; stop and go on: each in one command, on a model that is made here.
#   sh docs/newcomer.sh [FOLDER]
# It needs no network. Everything lands in FOLDER (./newcomer), which may be deleted afterwards.
set -eu
mkdir -p "${1:-newcomer}"
cd "${1:-newcomer}"
say() { printf '\n## %s\n' "$*"; }

say "What a newcomer brings along: texts.jsonl, a transformers model in ./model, a server that speaks OpenAI's protocol"
cat > bring.py <<'PYTHON'
import json, random
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

rng = random.Random(0)
months = "January February March April May June July August September October November December".split()
nouns = "river letter train garden window song captain market winter engine story bridge".split()
verbs = "was seen found closed left crossed painted heard opened sold".split()


def sentence() -> str:
    return f"In {rng.choice(months)} the {rng.choice(nouns)} {rng.choice(verbs)} near the {rng.choice(nouns)}."


texts = [" ".join(sentence() for _ in range(rng.randint(4, 9))) for _ in range(400)]
with open("texts.jsonl", "w") as out:
    out.writelines(json.dumps({"id": f"text-{i}", "body": text}) + "\n" for i, text in enumerate([*texts, None]))

made = Tokenizer(models.BPE())
made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
made.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=400, special_tokens=["<s>"], show_progress=False))
tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>")
torch.manual_seed(0)
model = LlamaForCausalLM(
    LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=128, bos_token_id=0, eos_token_id=0,
    )
)
learning = torch.optim.AdamW(model.parameters(), 3e-3)
for step in range(60):  # a few seconds, so that its neurons have something to do with the text
    tokens = torch.tensor([tokenizer(text)["input_ids"][:32] for text in rng.sample(texts, 16)])
    model(tokens, labels=tokens).loss.backward()
    learning.step()
    learning.zero_grad()
model.save_pretrained("model")
tokenizer.save_pretrained("model")
PYTHON
cat > server.py <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def instance(schema: dict) -> object:
    """Something that fits a JSON schema: a fake knows no better."""
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return instance(schema["anyOf"][0])
    kind = schema.get("type", "string")
    if kind == "object":
        return {name: instance(schema["properties"][name]) for name in schema.get("required", ())}
    if kind == "array":
        return [instance(schema.get("items", {}))] * schema.get("minItems", 1)
    return {"integer": 3, "number": 0.5, "boolean": True}.get(kind, "names of months")


class Fake(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def send(self, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self.send({"object": "list", "data": [{"id": "fake", "object": "model"}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        schema = ((asked.get("response_format") or {}).get("json_schema") or {}).get("schema")
        said = json.dumps(instance(schema)) if schema else "names of months"
        message = {"role": "assistant", "content": said}
        self.send({
            "id": "1", "object": "chat.completion", "created": 0, "model": "fake",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13},
        })


server = ThreadingHTTPServer(("127.0.0.1", 0), Fake)
with open("port", "w") as out:
    out.write(str(server.server_address[1]))
server.serve_forever()
PYTHON
python bring.py
glossator units ./model

say "Own text and own model: the text stands in a field of another name, and one row has none"
glossator run --subject ./model --site mlp.1 --units 8 --corpus texts.jsonl --text-column body --width 32 --tokens 20000 --out study

say "One unit"
UNIT=$(python -c 'import json; print(json.load(open("study/manifest.json"))["spec"]["sites"][0], end="/")')$(
    python -c 'import json; print(json.load(open("study/recording/manifest.json"))["spec"]["units"]["mlp.1"][0])')
glossator show "$UNIT" --study study --top 3 --random 1

say "Own hypothesis"
glossator score "$UNIT" --study study --program 'word(months)'

say "Own text on it"
glossator try "$UNIT" --study study "In March the letter was found near the bridge."

say "Own server"
rm -f port
python server.py &
SERVER=$!
trap 'kill $SERVER 2>/dev/null' EXIT
while [ ! -s port ]; do sleep 0.1; done
glossator run --subject ./model --site mlp.1 --units 2 --corpus texts.jsonl --text-column body --width 32 --tokens 20000 \
    --explainer bills --lm "http://127.0.0.1:$(cat port)/v1?powers=chat,json-schema#fake" --out told

say "Stop, and go on with the same command"
set -- --subject ./model --site mlp.0,mlp.1 --units 30 --corpus texts.jsonl --text-column body --width 32 --tokens 20000 --out long
glossator run "$@" &
RUN=$!
while [ ! -d long/work/explain ] && kill -0 $RUN 2>/dev/null; do sleep 0.2; done
kill -9 $RUN
wait $RUN || echo "killed"
glossator studies .
glossator run "$@"
glossator verify long
say "That is all"
