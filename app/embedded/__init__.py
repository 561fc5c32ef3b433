"""A separate program that speaks Ollama's HTTP API and describes images with models for a CPU.

`python -m app.embedded` serves one model, `embedded`, on machines without a GPU and without Ollama.
It imports nothing else of `app`; the server reaches it only over HTTP. It reads text, measures
pixels, decodes barcodes and detects common objects. To any other question it answers that it cannot
know. It does not read text in vertical columns (Japanese, Chinese).

    api/           Ollama's HTTP API: routes, request checks, limits on bodies and origins
    engine         worker threads and slots
    answers/       the task of a message, and the text or JSON of its answer
    models         the loaded models
    content_cache  facts and text of the last image
    vision/        statistics, image type, colours, barcodes, objects and classes of an image
    ocr/           pixels -> lines of text: PP-OCR for every line, Tesseract for Hangul
    images/        image files -> upright pixels, with a bound on memory and time

Imports go down this list. `weights`, `onnx_session` and `cancellation` are below all of them.
"""
