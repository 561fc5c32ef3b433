"""A small program that speaks Ollama's HTTP API and tells of images what a CPU can know.

`python -m app.embedded` serves one model, `embedded`, where no GPU and no Ollama is at hand. It
is a program of its own and imports nothing else of `app`: the server meets it only over HTTP. It
reads text, measures, decodes codes and detects common things; what it cannot know it says it
cannot. Text set in vertical columns (Japanese, Chinese) it does not read.

    guard -> origins            who may ask, and how much a request may bring
    server -> protocol, chat    HTTP and Ollama's objects
    answer -> intent            what was asked, and what this engine may say to it
    saying, vqa, extract        facts in words, as answers, as a schema's fields
    picture -> containers       files become pixels, at a bounded cost
    facts -> kind, sight, codes what is known of a picture beside its text
    ocr -> page, line, hangul   a picture becomes lines of text
"""
