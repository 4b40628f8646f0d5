//! Numbers and their bounds.

use salvo::oapi::{BasicType, KnownFormat, Object, RefOr, Schema};

use super::{ErrorMessage, FieldType, RawValue, formatted, range_message};

/// A whole number from `MIN` to `MAX`. `5.0` is one too, because some JSON encoders write every number as a float.
pub struct Integer<const MIN: i32, const MAX: i32>;

impl<const MIN: i32, const MAX: i32> FieldType for Integer<MIN, MAX> {
    type Value = i32;

    fn read(raw: RawValue) -> Result<i32, ErrorMessage> {
        let number = raw.whole().and_then(|number| i32::try_from(number).ok());
        let in_range = number.filter(|number| (MIN..=MAX).contains(number));
        in_range.ok_or_else(|| range_message("must be a whole number from", &(MIN..=MAX), ""))
    }

    fn schema() -> RefOr<Schema> {
        integer(KnownFormat::Int32).minimum(MIN).maximum(MAX).into()
    }
}

/// A whole number from `MIN` to `MAX`, where anything larger means `MAX` (the contract's `limit`).
pub struct Clamped<const MIN: u32, const MAX: u32>;

impl<const MIN: u32, const MAX: u32> FieldType for Clamped<MIN, MAX> {
    type Value = u32;

    fn read(raw: RawValue) -> Result<u32, ErrorMessage> {
        let number = raw.whole().or_else(|| raw.is_huge().then_some(i64::MAX));
        let number = number.filter(|number| *number >= i64::from(MIN));
        let clamped = number.map(|number| u32::try_from(number).map_or(MAX, |number| number.min(MAX)));
        clamped.ok_or_else(|| format!("must be a whole number of at least {MIN}").into())
    }

    fn schema() -> RefOr<Schema> {
        Object::with_type(BasicType::Integer).minimum(MIN).into()
    }
}

/// How many items of a list to skip.
pub struct Offset;

impl FieldType for Offset {
    type Value = u32;

    fn read(raw: RawValue) -> Result<u32, ErrorMessage> {
        let number = raw.whole().and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| range_message("must be a whole number from", &(0..=u32::MAX), ""))
    }

    fn schema() -> RefOr<Schema> {
        integer(KnownFormat::Int64).minimum(0).maximum(u32::MAX).into()
    }
}

/// A number from 0 to 1.
pub struct Fraction;

impl FieldType for Fraction {
    type Value = f64;

    fn read(raw: RawValue) -> Result<f64, ErrorMessage> {
        let number = match &raw {
            RawValue::Json(value) => value.as_f64(),
            RawValue::Text(text) => text.parse().ok(),
        };
        number.filter(|number| (0.0..=1.0).contains(number)).ok_or_else(|| "must be a number from 0 to 1".into())
    }

    fn schema() -> RefOr<Schema> {
        formatted(BasicType::Number, KnownFormat::Double).minimum(0).maximum(1).into()
    }
}

fn integer(format: KnownFormat) -> Object {
    formatted(BasicType::Integer, format)
}

impl RawValue {
    /// Whether the value is a whole number that does not fit into 64 bits.
    fn is_huge(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
            Self::Json(value) => value.as_u64().is_some() || value.as_f64().is_some_and(|float| float > 9e18),
        }
    }

    fn whole(&self) -> Option<i64> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Json(value) => value.as_i64().or_else(|| whole_float(value.as_f64()?)),
        }
    }
}

/// The whole number that a float holds exactly. Beyond 2^53 floats skip whole numbers.
fn whole_float(float: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within 2^53")]
    (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i64)
}
