"""The engine's own sentences, in English and Korean."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrases:
    """Fields in braces are filled with `str.format`."""

    no_picture: str
    kind: str
    kinds: str
    kind_names: dict[str, str]
    orientations: dict[str, str]
    size: str
    colours: str
    light: tuple[str, str, str]  # dark, medium, bright
    sharp: tuple[str, str]  # no, yes
    table: str
    code: str
    no_code: str
    detector: str
    classifier: str
    unsure: str
    nothing_sure: str
    text_follows: str
    text_brief: str
    no_text: str
    limits: str
    image: str
    cannot_know: str
    connect: str
    basis: str
    basis_first_line: str
    basis_measured: str
    basis_detector: str
    basis_detector_unsure: str
    basis_classifier: str
    basis_box: str
    basis_code: str
    count: str
    yes: str
    not_sure_of: str
    lines: str
    stopped_time: str
    stopped_boxes: str
    no_korean: str


ENGLISH = Phrases(
    no_picture="This engine only works on images; send it one.",
    kind="This looks like a {kind}.",
    kinds="This may be a {first} or a {second}; what was measured does not decide it.",
    kind_names={
        "PHOTO": "photo",
        "PAGE": "photo or scan of a page",
        "DOCUMENT": "document",
        "SCREENSHOT": "screenshot",
        "CHART": "chart or diagram",
        "GRAPHIC": "graphic",
        "BLANK": "picture of one colour",
    },
    orientations={"landscape": "landscape", "portrait": "portrait", "square": "square"},
    size="{orientation}, {width} x {height} pixels as received",
    colours="Main colours: {colours}.",
    light=("It is dark.", "It is of medium brightness.", "It is bright."),
    sharp=(
        "It has no sharp edges: it is blurred, or shows no fine detail.",
        "It has sharp edges.",
    ),
    table="The text forms a table of about {rows} rows and {columns} columns.",
    code="{kind}: {content}",
    no_code="No QR code or barcode could be read in it.",
    detector="Detector: {things}.",
    classifier="Classifier of the whole picture: {things}.",
    unsure="Below the threshold of {threshold:.2f}, so not claimed: {things}.",
    nothing_sure="The detector and the classifier are sure of nothing in it.",
    text_follows="The text in it:",
    text_brief="Text: “{text}”",
    no_text="No text was found in it.",
    limits=(
        "These are measurements, a small detector's scores and read text; what the picture means "
        "this engine cannot know."
    ),
    image="Image {number}: {text}",
    cannot_know=(
        "This engine cannot know that: it only reads text, measures, and detects some common "
        "things."
    ),
    connect=(
        "For answers about what a picture shows, connect a vision-language model: install Ollama "
        "and run ./download_model.sh."
    ),
    basis="Read from the line: {line}",
    basis_first_line="This is the first line of the text, where a receipt has its shop's name.",
    basis_measured="Basis: measured on the pixels.",
    basis_detector="Basis: detector, {things}. A small detector can miss things or be wrong.",
    basis_detector_unsure="Basis: detector, below its threshold of {threshold:.2f}: {things}.",
    basis_classifier="Basis: classifier of the whole picture, {things}.",
    basis_box="Basis: the colours in the middle of the detector's box, {things}.",
    basis_code="Basis: decoded, its checksum is right.",
    count="{count} {label} detected",
    yes="Yes, by detection: {things}.",
    not_sure_of="The detector is not sure of any {label}; that does not mean that there is none.",
    lines="{count} lines of text were read.",
    stopped_time="[The reading stopped after {seconds:g} seconds; the rest was not read.]",
    stopped_boxes="[The reading stopped at {boxes} pieces of text; the rest was not read.]",
    no_korean="[Korean is not available ({reason}); what may be Korean is marked [?].]",
)

KOREAN = Phrases(
    no_picture="이 엔진은 이미지만 다룹니다. 이미지를 보내 주세요.",
    kind="이 그림은 {kind}인 것 같습니다.",
    kinds="이 그림은 {first} 또는 {second}일 수 있으며, 측정값만으로는 정할 수 없습니다.",
    kind_names={
        "PHOTO": "사진",
        "PAGE": "문서 사진",
        "DOCUMENT": "문서",
        "SCREENSHOT": "화면 캡처",
        "CHART": "도표",
        "GRAPHIC": "그래픽",
        "BLANK": "한 가지 색으로 된 그림",
    },
    orientations={"landscape": "가로 방향", "portrait": "세로 방향", "square": "정사각형"},
    size="{orientation}, 받은 크기 {width} x {height} 픽셀",
    colours="주요 색: {colours}.",
    light=("전체적으로 어둡습니다.", "밝기는 중간입니다.", "전체적으로 밝습니다."),
    sharp=("또렷한 윤곽이 없습니다. 흐리거나 세부가 적은 그림입니다.", "윤곽이 또렷합니다."),
    table="글자가 약 {rows}행 {columns}열의 표를 이룹니다.",
    code="{kind}: {content}",
    no_code="QR 코드나 바코드를 읽지 못했습니다.",
    detector="탐지기: {things}.",
    classifier="그림 전체의 분류기: {things}.",
    unsure="기준 {threshold:.2f}에 못 미쳐 단정하지 않는 것: {things}.",
    nothing_sure="탐지기와 분류기가 확신하는 것은 없습니다.",
    text_follows="그림 속 글자:",
    text_brief="글자: “{text}”",
    no_text="그림에서 글자를 찾지 못했습니다.",
    limits=(
        "측정값과 작은 탐지기의 점수, 읽은 글자만 적은 것이며, 그림의 의미는 이 엔진이 알 수 "
        "없습니다."
    ),
    image="이미지 {number}: {text}",
    cannot_know=(
        "이 엔진은 글자를 읽고, 측정하고, 흔한 사물 몇 가지를 탐지할 뿐이어서 이 질문의 답은 알 "
        "수 없습니다."
    ),
    connect=(
        "그림의 내용에 대한 답이 필요하면 시각 언어 모델을 연결하세요: Ollama를 설치하고 "
        "./download_model.sh를 실행합니다."
    ),
    basis="근거가 된 줄: {line}",
    basis_first_line="영수증에서 가게 이름이 적히는 첫 줄입니다.",
    basis_measured="근거: 픽셀을 측정한 값입니다.",
    basis_detector="근거: 탐지기, {things}. 작은 탐지기라 놓치거나 틀릴 수 있습니다.",
    basis_detector_unsure="근거: 탐지기, 기준 {threshold:.2f} 미만: {things}.",
    basis_classifier="근거: 그림 전체의 분류기, {things}.",
    basis_box="근거: 탐지기 상자 가운데의 색, {things}.",
    basis_code="근거: 코드를 해독했고 검사 값이 맞습니다.",
    count="탐지된 {label}: {count}",
    yes="네, 탐지되었습니다: {things}.",
    not_sure_of="탐지기가 확신하는 대상이 없습니다: {label}. 없다는 뜻은 아닙니다.",
    lines="글자를 {count}줄 읽었습니다.",
    stopped_time="[{seconds:g}초가 지나 읽기를 멈췄습니다. 나머지는 읽지 않았습니다.]",
    stopped_boxes="[글자 조각 {boxes}개에서 읽기를 멈췄습니다. 나머지는 읽지 않았습니다.]",
    no_korean="[한국어를 읽을 수 없습니다 ({reason}). 한국어일 수 있는 곳은 [?]로 표시했습니다.]",
)
