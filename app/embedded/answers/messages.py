"""The sentences of answers in English and Korean."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Messages:
    """Templates for `str.format`."""

    no_image: str
    image_type: str
    image_types: str
    image_type_names: dict[str, str]
    orientations: dict[str, str]
    size: str
    colours: str
    brightness: tuple[str, str, str]  # dark, medium, bright
    sharpness: tuple[str, str]  # no, yes
    table: str
    barcode: str
    no_barcode: str
    detections: str
    classifications: str
    below_threshold: str
    nothing_confident: str
    text_follows: str
    text_brief: str
    no_text: str
    disclaimer: str
    numbered_image: str
    cannot_know: str
    suggestion: str
    basis_line: str
    basis_first_line: str
    basis_measured: str
    basis_detector: str
    basis_detector_unsure: str
    basis_classifier: str
    basis_box: str
    basis_barcode: str
    count: str
    present: str
    uncertain: str
    line_count: str
    stopped_after_time: str
    stopped_after_boxes: str
    no_korean: str


ENGLISH = Messages(
    no_image="This engine only works on images. Send an image.",
    image_type="This looks like a {image_type}.",
    image_types="This may be a {first} or a {second}; the measurements do not decide which.",
    image_type_names={
        "PHOTO": "photo",
        "PAGE": "photo or scan of a page",
        "DOCUMENT": "document",
        "SCREENSHOT": "screenshot",
        "CHART": "chart or diagram",
        "GRAPHIC": "graphic",
        "BLANK": "single-colour image",
    },
    orientations={"landscape": "landscape", "portrait": "portrait", "square": "square"},
    size="{orientation}, {width} x {height} pixels as received",
    colours="Main colours: {colours}.",
    brightness=("It is dark.", "It is of medium brightness.", "It is bright."),
    sharpness=(
        "It has no sharp edges: it is blurred, or shows no fine detail.",
        "It has sharp edges.",
    ),
    table="The text forms a table of about {rows} rows and {columns} columns.",
    barcode="{format}: {content}",
    no_barcode="No QR code or barcode could be read.",
    detections="Detector: {scores}.",
    classifications="Classifier (whole image): {scores}.",
    below_threshold="Uncertain (below {threshold:.2f}): {scores}.",
    nothing_confident="The detector and the classifier found nothing with confidence.",
    text_follows="Text in the image:",
    text_brief="Text: “{text}”",
    no_text="No text was found.",
    disclaimer=(
        "These are measurements, scores of a small detector and recognised text. This engine "
        "cannot know what the image means."
    ),
    numbered_image="Image {number}: {text}",
    cannot_know=(
        "This engine cannot know that: it only reads text, measures pixels and detects some "
        "common objects."
    ),
    suggestion=(
        "For answers about the content of an image, connect a vision-language model: install "
        "Ollama and run ./download_model.sh."
    ),
    basis_line="Read from the line: {line}",
    basis_first_line="Basis: the first line of the receipt, where the name of the shop is printed.",
    basis_measured="Basis: measured on the pixels.",
    basis_detector="Basis: detector, {scores}. A small detector can miss objects or be wrong.",
    basis_detector_unsure="Basis: detector, below its threshold of {threshold:.2f}: {scores}.",
    basis_classifier="Basis: classifier (whole image), {scores}.",
    basis_box="Basis: the colours in the middle of the detector's box, {scores}.",
    basis_barcode="Basis: the code was decoded and its checksum is valid.",
    count="{count} {label} detected",
    present="Yes, by detection: {scores}.",
    uncertain="The detector found no {label} with confidence. That does not mean there is none.",
    line_count="{count} lines of text were read.",
    stopped_after_time="[Reading stopped after {seconds:g} seconds. The rest was not read.]",
    stopped_after_boxes="[Reading stopped at {boxes} pieces of text. The rest was not read.]",
    no_korean="[Korean is not available ({reason}). Text that may be Korean is marked [?].]",
)

KOREAN = Messages(
    no_image="이 엔진은 이미지만 다룹니다. 이미지를 보내 주세요.",
    image_type="이 그림은 {image_type}인 것 같습니다.",
    image_types="이 그림은 {first} 또는 {second}일 수 있으며, 측정값만으로는 정할 수 없습니다.",
    image_type_names={
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
    brightness=("전체적으로 어둡습니다.", "밝기는 중간입니다.", "전체적으로 밝습니다."),
    sharpness=("또렷한 윤곽이 없습니다. 흐리거나 세부가 적은 그림입니다.", "윤곽이 또렷합니다."),
    table="글자가 약 {rows}행 {columns}열의 표를 이룹니다.",
    barcode="{format}: {content}",
    no_barcode="QR 코드나 바코드를 읽지 못했습니다.",
    detections="탐지기: {scores}.",
    classifications="분류기(그림 전체): {scores}.",
    below_threshold="기준 {threshold:.2f}에 못 미쳐 단정하지 않는 것: {scores}.",
    nothing_confident="탐지기와 분류기가 확신하는 것은 없습니다.",
    text_follows="그림 속 글자:",
    text_brief="글자: “{text}”",
    no_text="그림에서 글자를 찾지 못했습니다.",
    disclaimer=(
        "측정값과 작은 탐지기의 점수, 읽은 글자만 적은 것이며, 그림의 의미는 이 엔진이 알 수 "
        "없습니다."
    ),
    numbered_image="이미지 {number}: {text}",
    cannot_know=(
        "이 엔진은 글자를 읽고, 측정하고, 흔한 사물 몇 가지를 탐지할 뿐이어서 이 질문의 답은 알 "
        "수 없습니다."
    ),
    suggestion=(
        "그림의 내용에 대한 답이 필요하면 시각 언어 모델을 연결하세요: Ollama를 설치하고 "
        "./download_model.sh를 실행합니다."
    ),
    basis_line="근거가 된 줄: {line}",
    basis_first_line="영수증에서 가게 이름이 적히는 첫 줄입니다.",
    basis_measured="근거: 픽셀을 측정한 값입니다.",
    basis_detector="근거: 탐지기, {scores}. 작은 탐지기라 놓치거나 틀릴 수 있습니다.",
    basis_detector_unsure="근거: 탐지기, 기준 {threshold:.2f} 미만: {scores}.",
    basis_classifier="근거: 분류기(그림 전체), {scores}.",
    basis_box="근거: 탐지기 상자 가운데의 색, {scores}.",
    basis_barcode="근거: 코드를 해독했고 검사 값이 맞습니다.",
    count="탐지된 {label}: {count}",
    present="네, 탐지되었습니다: {scores}.",
    uncertain="탐지기가 확신하는 대상이 없습니다: {label}. 없다는 뜻은 아닙니다.",
    line_count="글자를 {count}줄 읽었습니다.",
    stopped_after_time="[{seconds:g}초가 지나 읽기를 멈췄습니다. 나머지는 읽지 않았습니다.]",
    stopped_after_boxes="[글자 조각 {boxes}개에서 읽기를 멈췄습니다. 나머지는 읽지 않았습니다.]",
    no_korean="[한국어를 읽을 수 없습니다 ({reason}). 한국어일 수 있는 곳은 [?]로 표시했습니다.]",
)
