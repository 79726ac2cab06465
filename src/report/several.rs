//! Several reporters as one.

use crate::event::{Event, Sink, SinkError};

/// Gives every event to each of them, in order. One that fails keeps none of the others from it.
pub struct Several(pub Vec<Box<dyn Sink + Send>>);

impl Sink for Several {
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
        let mut result = Ok(());
        for sink in &mut self.0 {
            result = result.and(sink.take(events));
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Json;
    use crate::report::fixtures::{Answer, Scripted, Shared, notice};
    use std::io::ErrorKind;

    #[test]
    fn one_that_fails_keeps_nothing_from_the_others() {
        let full = Scripted::new([Answer::Error(ErrorKind::StorageFull)]);
        let shared = Shared::default();
        let mut several = Several(vec![
            Box::new(Json::new(Box::new(full))),
            Box::new(Json::new(Box::new(shared.clone()))),
        ]);
        let error = several.take(&[notice("a")]).unwrap_err();
        assert!(error.0.starts_with("cannot write to stdout"), "{error}");
        assert!(shared.text().contains("\"message\":\"a\""));
    }
}
