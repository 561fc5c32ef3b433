"""Filling a schema from lines of text, without the models."""

from typing import Any

import pytest

from app.embedded.answers.extract import fill_schema
from tests.embedded.pictures import example

INVOICE = [
    "Harbour Supplies Ltd",
    "Invoice No: HS-2291",
    "Date: 2026/4/9    Due date: 2026-05-09",
    "Item          Qty    Unit price    Amount",
    "Rope 10 m     3      12.50         37.50",
    "Anchor        1      180           180.00",
    "Subtotal      217.50",
    "VAT           43.50",
    "Total         $261.00",
]


def one(field: str, lines: list[str], **schema: Any) -> Any:
    return fill_schema({"type": "object", "properties": {field: schema}}, lines)[field]


@pytest.mark.parametrize(
    ("field", "schema", "value"),
    [
        ("invoice_number", {"type": "string"}, "HS-2291"),
        ("invoiceNo", {"type": "string"}, "HS-2291"),
        ("total", {"type": "number"}, 261),
        ("total", {"type": "string"}, "$261.00"),
        ("subtotal", {"type": ["number", "null"]}, 217.5),
        ("subtotal", {"type": "integer"}, None),  # no fraction is cut off
        ("due_date", {"type": "string", "format": "date"}, "2026-05-09"),
        ("vat", {"anyOf": [{"type": "null"}, {"type": "number"}]}, 43.5),
        ("phone", {"type": "string"}, None),
        ("iban", {"type": "string"}, None),
        ("paid", {"type": "boolean"}, None),
        ("total", {"enum": ["low", "high"]}, None),
        ("ref", {"type": "string", "title": "Invoice number"}, "HS-2291"),
    ],
)
def test_a_field(field: str, schema: dict[str, Any], value: object) -> None:
    assert one(field, INVOICE, **schema) == value


def test_rows_of_a_table() -> None:
    fields = {
        "name": {"type": "string"},
        "quantity": {"type": "integer"},
        "unit_price": {"type": "number"},
        "colour": {"type": "string"},
    }
    items = {"type": "array", "items": {"type": "object", "properties": fields}}
    assert one("items", INVOICE, **items) == [
        {"name": "Rope 10 m", "quantity": 3, "unit_price": 12.5, "colour": None},
        {"name": "Anchor", "quantity": 1, "unit_price": 180, "colour": None},
    ]


def test_the_receipt() -> None:
    fields = ("store_name", "date", "total", "vat", "approval_number", "receipt_number", "tip")
    schema = {"properties": {field: {"type": "string"} for field in fields}}
    assert fill_schema(schema, example("receipt_ko.txt").decode().splitlines()) == {
        "store_name": "행복마트 서초점",
        "date": "2026-03-17 14:32",
        "total": "25,440원",
        "vat": "2,313",
        "approval_number": "30012345",
        "receipt_number": "0042",
        "tip": None,
    }


def test_nested_and_referenced() -> None:
    schema = {
        "$ref": "#/$defs/Invoice",
        "$defs": {
            "Invoice": {"properties": {"sums": {"$ref": "#/$defs/Sums"}}},
            "Sums": {"properties": {"total": {"type": "number"}}},
        },
    }
    assert fill_schema(schema, INVOICE) == {"sums": {"total": 261}}


def test_a_schema_in_itself_ends() -> None:
    loop = {"$ref": "#"}
    assert fill_schema({"$ref": "#"}, INVOICE) is None
    assert fill_schema({"properties": {"inner": loop}}, INVOICE)["inner"] is not None


def test_two_values_are_none() -> None:
    assert one("code", ["Code: 1", "Code: 2"], type="string") is None


def test_no_text() -> None:
    assert fill_schema({"properties": {"total": {"type": "number"}}}, []) == {"total": None}
