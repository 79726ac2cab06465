//! `violations`: what is made of each kind.

use std::collections::BTreeMap;

use crate::model::{Response, ViolationKind};

use super::read::{Field, Result, word};

/// Kinds with a response. Those that end a test have an outcome of their own, so that there is
/// nothing to choose.
pub(super) fn read(field: &Field) -> Result<BTreeMap<ViolationKind, Response>> {
    let mut out = BTreeMap::new();
    for (name, field) in field.keys(&ViolationKind::ALL.map(ViolationKind::as_str))? {
        let response = word(&field, &Response::ALL, Response::as_str)?;
        let mut kinds = ViolationKind::ALL.into_iter();
        let Some(kind) = kinds.find(|kind| kind.as_str() == name) else {
            return Err(field.fault("unknown kind"));
        };
        if kind.ends_the_test() && response != Response::Fail {
            return Err(
                field.unfit("it ends the test, so write fail, or a higher limit in profiles")
            );
        }
        out.insert(kind, response);
    }
    Ok(out)
}
