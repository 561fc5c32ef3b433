"""Chat answers: streamed, whole, limited, with several images."""

import httpx

from tests.embedded.api.ndjson import stream_chat
from tests.embedded.pictures import READ, chat, example, truth


async def test_stream(client: httpx.AsyncClient) -> None:
    *deltas, last = await stream_chat(client, chat(READ, example("table.png")))
    assert all(line["done"] is False for line in deltas)
    assert last["done"] is True
    assert last["done_reason"] == "stop"
    assert last["message"] == {"role": "assistant", "content": ""}
    text = "".join(line["message"]["content"] for line in deltas)
    assert [" ".join(line.split()) for line in text.splitlines()] == truth("table.txt")
    # One piece a delta, and the end of the answer counts one.
    assert last["eval_count"] == len(deltas) + 1
    # The words and full stops of the request and the 880 x 500 pixels of the picture.
    assert last["prompt_eval_count"] == 13 + 28 * 16
    parts = ("load_duration", "prompt_eval_duration", "eval_duration")
    assert last["load_duration"] > 0 and last["eval_duration"] > 0
    assert last["total_duration"] >= sum(last[part] for part in parts)


async def test_whole_is_the_stream_put_together(client: httpx.AsyncClient) -> None:
    body = chat(READ, example("receipt_ko.png"))
    streamed = await stream_chat(client, body)
    whole = (await client.post("/api/chat", json={**body, "stream": False})).json()
    assert whole["message"]["content"] == "".join(x["message"]["content"] for x in streamed)
    assert whole["eval_count"] == streamed[-1]["eval_count"]
    assert whole["done"] is True
    # The first line left while the others were still being read.
    assert streamed[-1]["eval_duration"] > 0.3 * streamed[-1]["total_duration"]


async def test_length_limit(client: httpx.AsyncClient) -> None:
    body = chat(READ, example("table.png"), options={"num_predict": 3})
    *deltas, last = await stream_chat(client, body)
    assert "".join(x["message"]["content"] for x in deltas) == "Monthly service report"
    assert (last["done_reason"], last["eval_count"]) == ("length", 3)


async def test_no_text_is_an_empty_answer(client: httpx.AsyncClient) -> None:
    (last,) = await stream_chat(client, chat(READ, example("photo.jpg")))
    assert (last["message"]["content"], last["eval_count"]) == ("", 1)


async def test_several_images_are_apart(client: httpx.AsyncClient) -> None:
    body = chat(READ, example("table.png"), example("receipt_ko.png"), stream=False)
    text = (await client.post("/api/chat", json=body)).json()["message"]["content"]
    table, receipt = text.split("\n\n")
    assert table.startswith("Monthly service report")
    assert receipt.startswith("행복마트")


async def test_image_of_an_earlier_turn(client: httpx.AsyncClient) -> None:
    body = chat("Describe this image.", example("table.png"), stream=False)
    body["messages"] += [
        {"role": "assistant", "content": "A table."},
        {"role": "user", "content": "Read it."},
    ]
    text = (await client.post("/api/chat", json=body)).json()["message"]["content"]
    assert text.startswith("Monthly service report")
