//! The facets of AWS's XML schema: lengths, ranges, enumerations, patterns.
//! The texts are those of its schema validator; only that of maxLength is verified.

use crate::route53::error::ApiError;

/// An `InvalidInput` of the schema validator.
fn invalid_xml(rule: &str, text: &str) -> ApiError {
    ApiError::input(format!("Invalid XML ; {rule}: {text}"))
}

/// A string of `min` to `max` characters.
pub fn length(kind: &str, min: usize, max: usize, value: &str) -> Result<(), ApiError> {
    let count = value.chars().count();
    if count > max {
        return Err(invalid_xml(
            "cvc-maxLength-valid",
            &format!(
                "Value '{value}' with length = '{count}' is not facet-valid with respect to \
                 maxLength '{max}' for type '{kind}'."
            ),
        ));
    }
    if count < min {
        return Err(invalid_xml(
            "cvc-minLength-valid",
            &format!(
                "Value '{value}' with length = '{count}' is not facet-valid with respect to \
                 minLength '{min}' for type '{kind}'."
            ),
        ));
    }
    Ok(())
}

/// An integer of `min` to `max`.
pub fn integer(kind: &str, min: i64, max: i64, value: &str) -> Result<i64, ApiError> {
    let Ok(number) = value.trim().parse::<i64>() else {
        return Err(invalid_xml(
            "cvc-datatype-valid.1.2.1",
            &format!("'{value}' is not a valid value for 'integer'."),
        ));
    };
    let (rule, bound) = if number > max {
        ("maxInclusive", max)
    } else if number < min {
        ("minInclusive", min)
    } else {
        return Ok(number);
    };
    Err(invalid_xml(
        &format!("cvc-{rule}-valid"),
        &format!(
            "Value '{number}' is not facet-valid with respect to {rule} '{bound}' for type \
             '{kind}'."
        ),
    ))
}

/// A boolean as XML schema has it.
pub fn boolean(value: &str) -> Result<bool, ApiError> {
    match value.trim() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(invalid_xml(
            "cvc-datatype-valid.1.2.1",
            &format!("'{value}' is not a valid value for 'boolean'."),
        )),
    }
}

/// The refusal of a value outside an enumeration.
#[must_use]
pub fn not_in_enumeration(value: &str, allowed: &[&str]) -> ApiError {
    invalid_xml(
        "cvc-enumeration-valid",
        &format!(
            "Value '{value}' is not facet-valid with respect to enumeration '[{}]'. It must be a \
             value from the enumeration.",
            allowed.join(", ")
        ),
    )
}

/// The refusal of a value outside a pattern.
#[must_use]
pub fn not_in_pattern(kind: &str, pattern: &str, value: &str) -> ApiError {
    invalid_xml(
        "cvc-pattern-valid",
        &format!(
            "Value '{value}' is not facet-valid with respect to pattern '{pattern}' for type \
             '{kind}'."
        ),
    )
}

/// The refusal of an element that may not stand where it stands.
#[must_use]
pub fn unexpected_element(found: &str, expected: &[&str]) -> ApiError {
    let expected: Vec<String> = expected.iter().map(|name| qualified(name)).collect();
    invalid_xml(
        "cvc-complex-type.2.4.a",
        &format!(
            "Invalid content was found starting with element '{found}'. One of '{{{}}}' is \
             expected.",
            expected.join(", ")
        ),
    )
}

/// The refusal of an element that lacks a required child.
#[must_use]
pub fn incomplete(element: &str, missing: &str) -> ApiError {
    invalid_xml(
        "cvc-complex-type.2.4.b",
        &format!(
            "The content of element '{element}' is not complete. One of '{{{}}}' is expected.",
            qualified(missing)
        ),
    )
}

fn qualified(name: &str) -> String {
    format!("\"{}\":{name}", crate::route53::xml::NAMESPACE)
}
