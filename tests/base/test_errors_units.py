"""Numbers as people write them, there and back; the words for outcomes."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogate.base import errors, units
from surrogate.base.errors import DataError, Status


def test_every_status_has_one_sentence_and_three_are_failures() -> None:
    for status in Status:
        assert status.sentence.endswith(".")
        assert status.sentence.count(".") == 1
    assert {status for status in Status if status.is_failed} == errors.FAILED
    assert errors.FAILED == {"no_optimum", "not_converged", "not_identifiable"}
    assert issubclass(DataError, ValueError)
    assert issubclass(errors.SolveError, RuntimeError)


# Closed form: the left side read by hand.
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e9", 1e9),
        ("7B", 7e9),
        ("1.07B", 1.07e9),
        ("512K", 512_000),
        ("512Ki", 524_288),
        ("1.5Mi", 1_572_864),
        ("2Gi", 2**31),
        ("100T", 1e14),
        ("0.25%", 0.0025),
        (" 3e-4 ", 3e-4),
        (".5", 0.5),
        ("-2", -2),
        ("+1e-3%", 1e-5),
    ],
)
def test_numbers_are_read_exactly(text: str, value: float) -> None:
    assert units.parse_number(text) == value


def test_batches_fractions_and_ranges() -> None:
    assert units.parse_batch("256x2048") == 524_288
    assert units.parse_batch("256 x 2Ki") == 524_288
    assert units.parse_batch("512Ki") == 524_288
    assert units.parse_fraction("0.25%") == 0.0025
    assert units.parse_fraction("0.0025") == 0.0025
    assert units.parse_count("1.07B") == 1.07e9
    assert units.parse_range("1e-4:1e-2") == (1e-4, 1e-2)
    assert units.parse_range("64Ki:4Mi", parse=units.parse_batch) == (2**16, 2**22)


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (units.parse_number, "7b", "--x: expected a number.*'7b'.*mean 7B"),
        (units.parse_number, "7G", "Did you mean 7B"),
        (units.parse_number, "512ki", "Did you mean 512Ki"),
        (units.parse_number, "7Q", "Suffixes are K, M, B, T, Ki, Mi, Gi"),
        (units.parse_number, "1,000,000", "without separators: 1000000"),
        (units.parse_number, "1_000", "without separators: 1000"),
        (units.parse_number, "nan", "expected a number"),
        (units.parse_number, "inf", "expected a number"),
        (units.parse_number, "", "got ''"),
        (units.parse_number, "1e3K", "expected a number"),
        (units.parse_number, "0x10", "expected a number"),
        (units.parse_number, "1e999", "fits in a float64"),
        (units.parse_number, "1e-999", "fits in a float64"),
        (units.parse_number, "٣", "expected a number"),
        (units.parse_number, "a\x1b[31m\n", r"got 'a\\x1b\[31m\\n'"),
        (units.parse_positive, "0", "a number above 0, got '0'"),
        (units.parse_positive, "-1e9", "a number above 0"),
        (units.parse_positive, "5%", "not a percentage"),
        (units.parse_count, "0.5", "at least 1"),
        (units.parse_fraction, "0", "above 0% and below 100%"),
        (units.parse_fraction, "100%", "above 0% and below 100%"),
        (units.parse_fraction, "-0.25%", "Write 0.25% or 0.0025"),
        (units.parse_batch, "256*2048", "Write 524288 or 256x2048"),
        (units.parse_batch, "256X2048", "Write 524288 or 256x2048"),
        (units.parse_batch, "1x2x3", "Write 524288 or 256x2048"),
        (units.parse_batch, "256x", "expected a number"),
        (units.parse_batch, "1.5x2", "whole numbers"),
        (units.parse_batch, "0", "above 0"),
        (units.parse_range, "1e-4", "LO:HI, such as"),
        (units.parse_range, "1:2:3", "LO:HI, such as"),
        (units.parse_range, "2:1", "LO below HI"),
        (units.parse_range, "1:1", "LO below HI"),
        (units.parse_range, "1:x", "expected a number"),
    ],
)
def test_what_cannot_be_read_is_named(
    parse: Callable[..., object], text: str, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        parse(text, what="--x")
    assert str(caught.value).startswith("--x: ")
    assert "\n" not in str(caught.value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_float_reads_back(value: float) -> None:
    assert units.parse_number(repr(value)) == value


@given(
    st.decimals(min_value="0.001", max_value="9999", places=3),
    st.sampled_from([("K", 3), ("M", 6), ("B", 9), ("T", 12), ("%", -2)]),
)
def test_suffixes_round_once(number: Decimal, suffix: tuple[str, int]) -> None:
    name, power = suffix
    assert units.parse_number(f"{number}{name}") == float(f"{number}e{power}")


@given(st.integers(1, 2**40), st.integers(1, 2**12))
def test_sequences_times_length(sequences: int, length: int) -> None:
    assert units.parse_batch(f"{sequences}x{length}") == sequences * length


@given(st.floats(1, 9e14))
def test_a_formatted_count_reads_back_to_three_digits(value: float) -> None:
    text = units.format_count(value)
    assert units.parse_count(text) == pytest.approx(value, rel=5.001e-3)
    assert len(text) <= 6


@given(st.floats(1e-12, 0.99))
def test_a_formatted_percentage_reads_back(fraction: float) -> None:
    text = units.format_percent(fraction)
    assert units.parse_fraction(text) == pytest.approx(fraction, rel=5.001e-3)


@given(st.integers(1, 2**53))
def test_exact_tokens_keep_every_digit(tokens: int) -> None:
    text = units.format_tokens_exact(float(tokens))
    assert int(text.replace(",", "")) == tokens


def test_formats() -> None:
    assert units.format_count(1.074e9) == "1.07B"
    assert units.format_count(1e11) == "100B"
    assert units.format_count(999_999.0) == "1M"
    assert units.format_count(512) == "512"
    assert units.format_tokens_exact(524_288.0) == "524,288"
    assert units.format_tokens_exact(1234.5) == "1,234.5"
    assert units.format_lr(0.0012345) == "1.23e-03"
    assert units.format_percent(0.0025) == "0.25%"
    assert units.format_percent(0.12345) == "12.3%"
    assert units.format_octaves(1.2345) == "1.23 octaves"
    for form in (
        units.format_count,
        units.format_tokens_exact,
        units.format_lr,
        units.format_percent,
        units.format_octaves,
    ):
        assert form(math.nan) == "unknown"
    assert units.quote("x" * 100) == repr("x" * 57 + "...")
