"""A small program that speaks Ollama's HTTP API and reads the text in images on a CPU.

`python -m app.embedded` serves one model, `embedded`, where no GPU and no Ollama is at hand. It
is a program of its own and imports nothing else of `app`: the server meets it only over HTTP.

    server -> protocol      HTTP and Ollama's objects
    answer -> intent        what was asked, and what this engine may say to it
    ocr -> page, hangul     a picture becomes lines of text
"""
