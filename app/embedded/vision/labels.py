"""Names of labels in English and Korean, and labels named in questions."""

import re
from collections.abc import Sequence

KOREAN_NAMES = {
    **{"person": "사람", "bicycle": "자전거", "car": "자동차", "motorcycle": "오토바이"},
    **{"airplane": "비행기", "bus": "버스", "train": "기차", "truck": "트럭", "boat": "배"},
    **{"traffic light": "신호등", "fire hydrant": "소화전", "stop sign": "정지 표지판"},
    **{"parking meter": "주차 미터기", "bench": "벤치", "bird": "새", "cat": "고양이"},
    **{"dog": "개", "horse": "말", "sheep": "양", "cow": "소", "elephant": "코끼리"},
    **{"bear": "곰", "zebra": "얼룩말", "giraffe": "기린", "backpack": "배낭"},
    **{"umbrella": "우산", "handbag": "핸드백", "tie": "넥타이", "suitcase": "여행 가방"},
    **{"frisbee": "원반", "skis": "스키", "snowboard": "스노보드", "sports ball": "공"},
    **{"kite": "연", "baseball bat": "야구 방망이", "baseball glove": "야구 글러브"},
    **{"skateboard": "스케이트보드", "surfboard": "서프보드", "tennis racket": "테니스 라켓"},
    **{"bottle": "병", "wine glass": "와인 잔", "cup": "컵", "fork": "포크", "knife": "칼"},
    **{"spoon": "숟가락", "bowl": "그릇", "banana": "바나나", "apple": "사과"},
    **{"sandwich": "샌드위치", "orange": "오렌지", "broccoli": "브로콜리", "carrot": "당근"},
    **{"hot dog": "핫도그", "pizza": "피자", "donut": "도넛", "cake": "케이크"},
    **{"chair": "의자", "couch": "소파", "potted plant": "화분", "bed": "침대"},
    **{"dining table": "식탁", "toilet": "변기", "tv": "텔레비전", "laptop": "노트북"},
    **{"mouse": "마우스", "remote": "리모컨", "keyboard": "키보드", "cell phone": "휴대 전화"},
    **{"microwave": "전자레인지", "oven": "오븐", "toaster": "토스터", "sink": "싱크대"},
    **{"refrigerator": "냉장고", "book": "책", "clock": "시계", "vase": "꽃병"},
    **{"scissors": "가위", "teddy bear": "곰 인형", "hair drier": "헤어드라이어"},
    **{"toothbrush": "칫솔", "espresso": "에스프레소 커피", "butterfly": "나비"},
    **{"monkey": "원숭이", "snake": "뱀", "spider": "거미", "tripod": "삼각대"},
    **{"moped": "모페드", "motor scooter": "스쿠터", "missile": "미사일", "bubble": "거품"},
}
# The detector's classes are the first 80 entries; the others are the classifier's.
COCO_LABELS = frozenset(list(KOREAN_NAMES)[:80])
ENGLISH_NAMES = {"espresso": "espresso (coffee)"}

# Words of questions -> labels. "Woman" is missing on purpose: the detector finds persons, not
# their gender.
SYNONYMS = {
    "people": ("person",),
    "persons": ("person",),
    "human": ("person",),
    "bike": ("bicycle",),
    "motorbike": ("motorcycle",),
    "plane": ("airplane",),
    "phone": ("cell phone",),
    "sofa": ("couch",),
    "television": ("tv",),
    "doughnut": ("donut",),
    "fridge": ("refrigerator",),
    "coffee": ("espresso",),
    "table": ("dining table",),
    "커피": ("espresso",),
    "강아지": ("dog",),
    "자전거": ("bicycle",),
    "스마트폰": ("cell phone",),
    "핸드폰": ("cell phone",),
    "TV": ("tv",),
    "테이블": ("dining table",),
}
PARTICLE = r"(?:이|가|은|는|을|를|의|도)?"
SHORT_NAME = 1  # Korean names of this length are matched as whole words, not inside other words


def display_name(label: str, korean: bool) -> str:
    """The name to show. A label without a Korean name stays English."""
    return KOREAN_NAMES.get(label, label) if korean else ENGLISH_NAMES.get(label, label)


def find_labels(question: str, known: frozenset[str]) -> tuple[str, ...]:
    """The known labels that a question names, without duplicates."""
    found = [label for label in sorted(known, key=len, reverse=True) if _mentions(label, question)]
    found += [label for label in KOREAN_NAMES if _mentions_korean(KOREAN_NAMES[label], question)]
    for word, labels in SYNONYMS.items():
        if _mentions(word, question) if word.isascii() else word in question:
            found += labels
    # "hot dog" does not name a dog.
    whole = [a for a in found if not any(a != b and re.search(rf"\b{a}\b", b) for b in found)]
    return tuple(dict.fromkeys(whole))


def remove_labels(question: str, labels: Sequence[str]) -> str:
    """Removes the words that name these labels from a question."""
    words = [word for word, stands in SYNONYMS.items() if set(stands) & set(labels)]
    words += [*labels, *(KOREAN_NAMES[label] for label in labels if label in KOREAN_NAMES)]
    for word in sorted(words, key=len, reverse=True):
        if word.isascii():
            question = re.sub(rf"\b{re.escape(word)}(?:s|es)?\b", " ", question, flags=re.I)
        else:
            spaced = r"\s*".join(map(re.escape, word.replace(" ", "")))
            question = re.sub(rf"{spaced}{PARTICLE}", " ", question)
    return question


def _mentions(label: str, question: str) -> bool:
    return bool(re.search(rf"\b{re.escape(label)}(?:s|es)?\b", question, re.IGNORECASE))


def _mentions_korean(name: str, question: str) -> bool:
    bare = name.replace(" ", "")
    if len(bare) > SHORT_NAME:
        return bare in question.replace(" ", "")
    return bool(re.search(rf"(?<![가-힣]){bare}{PARTICLE}(?![가-힣])", question))
