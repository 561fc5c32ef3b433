"""The engine's own sentences, in English and Korean."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrases:
    """Fields in braces are filled with `str.format`."""

    no_picture: str
    reads_only: str
    size: str
    text_follows: str
    no_text: str
    cannot_know: str
    connect: str
    basis: str
    basis_first_line: str
    stopped_time: str
    stopped_boxes: str
    no_korean: str


ENGLISH = Phrases(
    no_picture="This engine only reads the text in images; send it an image.",
    reads_only="This engine only reads text and cannot see objects, people or scenes.",
    size="The picture is {width} x {height} pixels.",
    text_follows="The text in it:",
    no_text="No text was found in it.",
    cannot_know="This engine only reads text, and the text does not answer this: it cannot know.",
    connect=(
        "For answers about what a picture shows, connect a vision-language model: install Ollama "
        "and run ./download_model.sh."
    ),
    basis="Read from the line: {line}",
    basis_first_line="This is the first line of the text, where a receipt has its shop's name.",
    stopped_time="[The reading stopped after {seconds:g} seconds; the rest was not read.]",
    stopped_boxes="[The reading stopped at {boxes} pieces of text; the rest was not read.]",
    no_korean="[Korean is not available ({reason}); what may be Korean is marked [?].]",
)

KOREAN = Phrases(
    no_picture="이 엔진은 이미지 속 글자만 읽습니다. 이미지를 보내 주세요.",
    reads_only="이 엔진은 글자만 읽을 수 있고 사물, 사람, 장면은 보지 못합니다.",
    size="그림의 크기는 {width} x {height} 픽셀입니다.",
    text_follows="그림 속 글자:",
    no_text="그림에서 글자를 찾지 못했습니다.",
    cannot_know="이 엔진은 글자만 읽으며, 읽은 글자에는 답이 없어 알 수 없습니다.",
    connect=(
        "그림의 내용에 대한 답이 필요하면 시각 언어 모델을 연결하세요: Ollama를 설치하고 "
        "./download_model.sh를 실행합니다."
    ),
    basis="근거가 된 줄: {line}",
    basis_first_line="영수증에서 가게 이름이 적히는 첫 줄입니다.",
    stopped_time="[{seconds:g}초가 지나 읽기를 멈췄습니다. 나머지는 읽지 않았습니다.]",
    stopped_boxes="[글자 조각 {boxes}개에서 읽기를 멈췄습니다. 나머지는 읽지 않았습니다.]",
    no_korean="[한국어를 읽을 수 없습니다 ({reason}). 한국어일 수 있는 곳은 [?]로 표시했습니다.]",
)
