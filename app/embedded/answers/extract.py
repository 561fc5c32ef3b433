"""Fills a JSON Schema with values beside labels.

A field that is not found is null, even if the schema does not allow null: any other value would be
invented.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.embedded.answers import key_value
from app.embedded.answers.key_value import COLUMN_GAP, KeyValue

MAX_DEPTH = 8  # of nested objects, and of $ref chains
NAME_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[가-힣]+")
WHOLE_TEXT_FIELD = re.compile(
    r"(?:full_?|raw_?|all_?)?(?:text|transcription|lines)|텍스트|전문", re.I
)
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
YEAR_FIRST = re.compile(r"(\d{4})\D{1,2}(\d{1,2})\D{1,2}(\d{1,2})")

# Field names -> a question that `key_value` can answer.
FIELD_QUESTIONS = (
    (re.compile(r"total|grand_?total|amount_?due|합계|총액", re.I), "total"),
    (re.compile(r"date|issued|purchased|날짜|일자|일시", re.I), "date"),
    (re.compile(r"phone|telephone|tel\b|전화", re.I), "phone"),
    (
        re.compile(
            r"(?:shop|store|merchant|vendor|seller|restaurant)(?:_?name)?|상호|가게|매장", re.I
        ),
        "shop name",
    ),
)
# Words of field names -> labels on pages.
FIELD_LABELS: Mapping[str, tuple[str, ...]] = {
    "number": ("no", "nr", "number", "번호", "#"),
    "no": ("no", "number", "번호", "#"),
    "id": ("id", "no", "number", "번호"),
    "invoice": ("invoice", "송장", "인보이스", "청구서"),
    "receipt": ("receipt", "영수증"),
    "order": ("order", "주문"),
    "approval": ("approval", "승인"),
    "business": ("business", "사업자"),
    "card": ("card", "카드"),
    "tax": ("tax", "vat", "부가세", "세액"),
    "vat": ("vat", "tax", "부가세"),
    "subtotal": ("subtotal", "sub total", "공급가액", "과세물품가액", "소계"),
    "due": ("due", "만기", "납부기한"),
    "address": ("address", "주소"),
    "customer": ("customer", "bill to", "고객", "공급받는자"),
    "name": ("name", "이름", "성명", "상품명", "품명", "item", "description", "product"),
    "item": ("item", "상품명", "품명", "description", "product"),
    "product": ("product", "item", "상품명", "품명"),
    "description": ("description", "item", "품명", "상품명"),
    "quantity": ("quantity", "qty", "수량"),
    "qty": ("qty", "quantity", "수량"),
    "price": ("price", "단가", "가격"),
    "unit": ("unit", "단가"),
    "amount": ("amount", "total", "금액"),
    "payment": ("payment", "결제"),
}


def fill_schema(schema: Mapping[str, Any], lines: Sequence[str]) -> Any:
    """Returns the value for a schema from the lines of a page."""
    return _value("", schema, lines, schema, 0)


def _value(
    name: str, schema: Any, lines: Sequence[str], root: Mapping[str, Any], depth: int
) -> Any:
    schema = _resolve(schema, root, depth)
    if depth > MAX_DEPTH or not isinstance(schema, Mapping):
        return None
    if isinstance(schema.get("properties"), Mapping):
        return {
            key: _value(key, part, lines, root, depth + 1)
            for key, part in schema["properties"].items()
        }
    types = _types(schema)
    if "array" in types:
        return _rows(schema.get("items"), lines, root, depth)
    if WHOLE_TEXT_FIELD.fullmatch(name) and "string" in types and lines:
        return "\n".join(lines)
    found = _find_field(name, schema, lines)
    return None if found is None else _convert(found.value, schema, types)


def _resolve(schema: Any, root: Mapping[str, Any], depth: int) -> Any:
    """Follows local $refs, and takes the first alternative that is not null."""
    for _ in range(MAX_DEPTH):
        if not isinstance(schema, Mapping):
            return None
        if isinstance(reference := schema.get("$ref"), str):
            node: Any = root
            for step in filter(None, reference.removeprefix("#").split("/")):
                node = node.get(step) if isinstance(node, Mapping) else None
            schema = node
        elif choices := [
            choice
            for choice in (schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf") or ())
            if isinstance(choice, Mapping) and choice.get("type") != "null"
        ]:
            schema = choices[0]
        else:
            return schema
    return None


def _types(schema: Mapping[str, Any]) -> set[str]:
    type_name = schema.get("type", "string")
    types = set(type_name) if isinstance(type_name, list) else {type_name}
    return types - {"null"}


def _find_field(name: str, schema: Mapping[str, Any], lines: Sequence[str]) -> KeyValue | None:
    """Searches by the words of the field's name, by its question, then by title and description."""
    found = _by_label(name, lines)
    if found is not None:
        return found
    for pattern, question in FIELD_QUESTIONS:
        if pattern.fullmatch(name) or (question != "total" and pattern.search(name)):
            return key_value.find_value(f"What is the {question}?", lines)
    for text in (schema.get("title"), schema.get("description")):
        if isinstance(text, str) and (found := _by_label(text, lines)):
            return found
    return None


def _by_label(name: str, lines: Sequence[str]) -> KeyValue | None:
    """The value of a label that contains each word of the name, or one of its synonyms."""
    words = [FIELD_LABELS.get(word.lower(), (word.lower(),)) for word in NAME_WORDS.findall(name)]
    if not words:
        return None
    hits: dict[str, KeyValue] = {}
    for line in lines:
        for label, value in _pairs(line):
            if all(any(_contains_form(form, label) for form in forms) for forms in words):
                hits.setdefault(value, KeyValue(value, (line.strip(),)))
    return next(iter(hits.values())) if len(hits) == 1 else None


def _pairs(line: str) -> list[tuple[str, str]]:
    """(label, value) pairs of a line: two cells, "label: value" or "label 123"."""
    cells = COLUMN_GAP.split(line.strip())
    pairs = []
    for cell in cells:
        label, colon, value = cell.partition(":")
        if colon and value.strip() and not label.strip()[-1:].isdigit():
            pairs.append((label.strip(), value.strip()))
        elif match := re.fullmatch(r"(\D*(?:no\.?|번호|#|\s))\s*(\S*\d\S*)", cell, re.I):
            pairs.append((match[1].strip(), match[2]))
    if len(cells) == 2 and not pairs:
        pairs.append((cells[0].rstrip(":"), cells[1]))
    return pairs


def _contains_form(form: str, label: str) -> bool:
    if form.isascii() and form.isalpha():
        return bool(re.search(rf"(?<![a-z]){form}s?(?![a-z])", label, re.I))
    return form in label.lower()


def _convert(text: str, schema: Mapping[str, Any], types: set[str]) -> Any:
    """Converts the text to the schema's type. None if that is not possible."""
    choices = schema.get("enum")
    if isinstance(choices, list):
        same = [c for c in choices if isinstance(c, str) and c.lower() == text.strip().lower()]
        return same[0] if same else None
    if "number" in types or "integer" in types:
        return _number(text, "number" in types)
    if "string" not in types:
        return None
    if schema.get("format") == "date" and (date := YEAR_FIRST.search(text)):
        year, month, day = map(int, date.groups())
        return f"{year:04}-{month:02}-{day:02}"
    return text


def _number(text: str, fractions: bool) -> int | float | None:
    """The only number of a text. None for several numbers or a fraction where an integer is due."""
    numbers = NUMBER.findall(text)
    if len(numbers) != 1:
        return None
    value = float(numbers[0].replace(",", ""))
    if value.is_integer():
        return int(value)
    return value if fractions else None


def _rows(
    items: Any, lines: Sequence[str], root: Mapping[str, Any], depth: int
) -> list[Any] | None:
    """The rows of a table whose headings match the fields of the items. None without a table."""
    items = _resolve(items, root, depth)
    fields = items.get("properties") if isinstance(items, Mapping) else None
    if not isinstance(fields, Mapping) or not fields:
        return None
    table = [COLUMN_GAP.split(line.strip()) for line in lines]
    for top, heading in enumerate(table):
        columns = {name: _column(name, heading) for name in fields}
        placed = [column for column in columns.values() if column is not None]
        if len(heading) < 2 or len(placed) < min(2, len(fields)) or _numeric(heading):
            continue
        rows = []
        for row in table[top + 1 :]:
            if len(row) != len(heading):
                break
            rows.append(
                {
                    name: _cell(row, columns[name], _resolve(part, root, depth))
                    for name, part in fields.items()
                }
            )
        if rows:
            return rows
    return None


def _column(name: str, heading: Sequence[str]) -> int | None:
    """The only heading with a word of the field's name; later words are tried first."""
    for word in reversed(NAME_WORDS.findall(name)):
        forms = FIELD_LABELS.get(word.lower(), (word.lower(),))
        found = [
            n for n, cell in enumerate(heading) if any(_contains_form(form, cell) for form in forms)
        ]
        if len(found) == 1:
            return found[0]
    return None


def _numeric(heading: Sequence[str]) -> bool:
    return any(char.isdigit() for cell in heading for char in cell)


def _cell(row: Sequence[str], column: int | None, schema: Any) -> Any:
    if column is None or not isinstance(schema, Mapping):
        return None
    return _convert(row[column], schema, _types(schema))
