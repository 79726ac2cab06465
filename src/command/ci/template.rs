//! The files' templates: text with marks, and what is made of them. Pure.
//!
//! A line `#@if WORD`, `#@else` or `#@end` chooses among the lines after it, and may be nested;
//! `@name@` is replaced by a value. To YAML the former are comments.

/// What a template is filled with.
#[derive(Default)]
pub struct Values<'a> {
    /// The words that `#@if` finds true.
    pub set: Vec<&'a str>,
    /// What replaces `@name@`, by name. Nothing in a value is replaced again.
    pub texts: Vec<(&'a str, String)>,
}

/// The template with its marks done.
pub fn fill(template: &str, values: &Values) -> String {
    let mut out = String::new();
    let mut taken: Vec<bool> = Vec::new();
    for line in template.lines() {
        match line.trim_start().strip_prefix("#@") {
            Some("else") => {
                if let Some(last) = taken.last_mut() {
                    *last = !*last;
                }
            }
            Some("end") => {
                taken.pop();
            }
            Some(condition) => {
                let word = condition.strip_prefix("if ").unwrap_or(condition);
                taken.push(values.set.contains(&word));
            }
            None if taken.iter().all(|taken| *taken) => {
                replace(line, &values.texts, &mut out);
                out.push('\n');
            }
            None => {}
        }
    }
    out
}

fn replace(line: &str, texts: &[(&str, String)], out: &mut String) {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('@') {
        out.push_str(before);
        let found = after.split_once('@').and_then(|(name, after)| {
            let (_, text) = texts.iter().find(|(known, _)| *known == name)?;
            Some((text, after))
        });
        rest = match found {
            Some((text, after)) => {
                out.push_str(text);
                after
            }
            None => {
                out.push('@');
                after
            }
        };
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str, set: &[&str]) -> String {
        let values = Values {
            set: set.to_vec(),
            texts: vec![("a", "@b@".into()), ("b", "2".into())],
        };
        fill(template, &values)
    }

    #[test]
    fn values_are_put_in_once() {
        assert_eq!(
            filled("x@a@@b@ user@b user@host@b@ @c@\n", &[]),
            "x@b@2 user@b user@host2 @c@\n"
        );
    }

    #[test]
    fn conditions_choose_and_nest() {
        let template = "1\n  #@if x\n2\n#@if y\n3\n#@else\n4\n#@end\n#@else\n5\n#@end\n6\n";
        assert_eq!(filled(template, &[]), "1\n5\n6\n");
        assert_eq!(filled(template, &["y"]), "1\n5\n6\n");
        assert_eq!(filled(template, &["x"]), "1\n2\n4\n6\n");
        assert_eq!(filled(template, &["x", "y"]), "1\n2\n3\n6\n");
    }
}
