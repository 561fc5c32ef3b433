"""The language check accepts text of each language and rejects ciphers of it."""

import pytest

from app.images.pdf.language_check import Verdict, judge

SOUND = {
    "English": "Please return the signed form before Friday. It is on the table in the hall.",
    "German": "Die Bibliothek ist am Montag geschlossen, und der Eingang ist nicht besetzt.",
    "Vietnamese": "Thư viện đóng cửa vào thứ hai và người dùng không được vào trong các phòng.",
    "Korean": "도서관은 매주 월요일에 문을 닫습니다. 분실물은 안내 데스크에 맡겨 주세요.",
    "Japanese": "図書館は毎週月曜日に休館します。忘れ物は案内所にお届けください。",
    "Chinese": "图书馆每周一闭馆，请提前安排。失物请交到服务台登记。",
    "Russian": "Библиотека закрыта каждый понедельник. Потерянные вещи сдайте дежурному.",
    "Greek": "Η βιβλιοθήκη είναι κλειστή κάθε Δευτέρα και τα χαμένα αντικείμενα φυλάσσονται.",
    "Hebrew": "הספרייה סגורה בכל יום שני, נא למסור אבדות לדלפק הכניסה",
    "Arabic": "المكتبة مغلقة كل يوم اثنين ويرجى تسليم المفقودات إلى مكتب الاستقبال",
}
NOT_LATIN = [name for name, said in SOUND.items() if not said.isascii() and name != "Vietnamese"]


@pytest.mark.parametrize("language", SOUND)
def test_text_of_a_language(language: str) -> None:
    assert judge(SOUND[language]).verdict is Verdict.SOUND


@pytest.mark.parametrize("language", [name for name in NOT_LATIN if name != "German"])
@pytest.mark.parametrize("by", [2, 5, 11])
def test_shifted_text_is_of_none(language: str, by: int) -> None:
    shifted = "".join(chr(ord(c) + by) if c.isalpha() else c for c in SOUND[language])
    assert judge(shifted).verdict is Verdict.BROKEN


@pytest.mark.parametrize("language", ["English", "Korean", "Russian", "Chinese"])
def test_swapped_bytes_are_of_none(language: str) -> None:
    swapped = "".join(
        chr((ord(c) & 0xFF) << 8 | ord(c) >> 8) if c != " " else c for c in SOUND[language]
    )
    assert judge(swapped).verdict is Verdict.BROKEN


@pytest.mark.parametrize(
    "said",
    ["KX-4408-921", "Σ = α + β", "카드 Card PC방 USB는 Wi-Fi를 씁니다", "12.50 31.00", "Łódź", "3"],
)
def test_little_or_odd_text_is_not_broken(said: str) -> None:
    assert judge(said).verdict is not Verdict.BROKEN
