//! YAML with line numbers: the only place that knows `serde_yaml`.
//!
//! `serde_yaml` tells where a value is only when it refuses that value. So every node of the tree
//! carries its number in reading order, and [`Document::line`] reads the text once more and refuses
//! exactly that node. Reading has two passes, because a scalar's own text (`1.10`, not 1.1) is had
//! only by asking for text, and a list or mapping only by not asking for text: the first pass finds
//! the kinds.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, Visitor,
};

/// Nodes that one file may expand to. It ends YAML bombs long before memory does.
const MAX_NODES: usize = 100_000;
/// Opening brackets in one file. `libyaml` takes microseconds for each that is never closed.
const MAX_BRACKETS: usize = 10_000;

/// A value with its place in the file.
#[derive(Debug)]
pub(super) struct Node {
    /// Its number in reading order.
    pub at: usize,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A single value, as it is written.
    Scalar(Scalar, String),
    /// A list.
    List(Vec<Node>),
    /// A mapping in the file's order; keys can be anything, and can repeat.
    Map(Vec<(Node, Node)>),
}

/// What a scalar looks like to YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    /// `true` or `false`, without quotes.
    Bool,
    /// A number, without quotes.
    Number,
    /// Anything else.
    Text,
}

impl Value {
    /// What it is, in words that fit behind "is".
    pub fn describe(&self) -> &'static str {
        match self {
            Value::Null => "empty",
            Value::Scalar(Scalar::Bool, _) => "true or false",
            Value::Scalar(Scalar::Number, _) => "a number",
            Value::Scalar(Scalar::Text, _) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// A text that is YAML.
pub(super) struct Document<'a> {
    text: &'a str,
    /// Its only node that is no other node's child.
    pub root: Node,
}

/// Why a text is not YAML that we take.
#[derive(Debug)]
pub(super) struct SyntaxError {
    /// Where, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl<'a> Document<'a> {
    /// Parses one YAML document; an empty text is null.
    pub fn parse(text: &'a str) -> Result<Self, SyntaxError> {
        // libyaml refuses these too, but does not tell the line.
        if let Some((before, _)) = text.split_once(is_forbidden) {
            return Err(SyntaxError {
                line: 1 + before.matches('\n').count(),
                message: "control characters are not taken".to_owned(),
            });
        }
        let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{'));
        if brackets.count() > MAX_BRACKETS {
            return Err(SyntaxError {
                line: 1,
                message: format!("more than {MAX_BRACKETS} brackets"),
            });
        }
        let refuse = |error: serde_yaml::Error| SyntaxError {
            line: line_of(&error),
            message: without_place(&error.to_string()),
        };
        let mut shape = Shape::default();
        ShapeSeed(&mut shape)
            .deserialize(serde_yaml::Deserializer::from_str(text))
            .map_err(refuse)?;
        let mut next = 0;
        let seed = NodeSeed {
            kinds: &shape.kinds,
            next: &mut next,
        };
        let root = seed
            .deserialize(serde_yaml::Deserializer::from_str(text))
            .map_err(refuse)?;
        Ok(Document { text, root })
    }

    /// The line of the node with this number, from 1.
    pub fn line(&self, at: usize) -> usize {
        let mut shape = Shape {
            stop: Some(at),
            ..Shape::default()
        };
        match ShapeSeed(&mut shape).deserialize(serde_yaml::Deserializer::from_str(self.text)) {
            Ok(()) => 1,
            Err(error) => line_of(&error),
        }
    }
}

fn is_forbidden(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')
}

fn line_of(error: &serde_yaml::Error) -> usize {
    error.location().map_or(1, |location| location.line())
}

/// `serde_yaml`'s message less the places in it: the line is told apart, the path by us.
fn without_place(message: &str) -> String {
    if message.contains("more than one document") {
        return "more than one document".to_owned();
    }
    let message = message.split(" at line ").next().unwrap_or(message);
    let (_, message) = message.rsplit_once(": ").unwrap_or(("", message));
    message.to_owned()
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Scalar(Scalar),
    Other,
}

/// First pass: the kind of every node in reading order, up to `stop`.
#[derive(Default)]
struct Shape {
    kinds: Vec<Kind>,
    stop: Option<usize>,
}

struct ShapeSeed<'a>(&'a mut Shape);

impl<'de> DeserializeSeed<'de> for ShapeSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let at = self.0.kinds.len();
        if self.0.stop == Some(at) {
            return deserializer.deserialize_any(Refuse);
        }
        if at == MAX_NODES {
            return Err(D::Error::custom(format!("more than {MAX_NODES} values")));
        }
        self.0.kinds.push(Kind::Other);
        deserializer.deserialize_any(ShapeVisitor { shape: self.0, at })
    }
}

/// Takes nothing, so that its error tells where the value is.
struct Refuse;

impl Visitor<'_> for Refuse {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}

struct ShapeVisitor<'a> {
    shape: &'a mut Shape,
    at: usize,
}

impl ShapeVisitor<'_> {
    fn scalar<E>(self, scalar: Scalar) -> Result<(), E> {
        self.shape.kinds[self.at] = Kind::Scalar(scalar);
        Ok(())
    }
}

impl<'de> Visitor<'de> for ShapeVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(A::Error::custom("tags are not taken"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.scalar(Scalar::Bool)
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.scalar(Scalar::Number)
    }

    fn visit_i128<E>(self, _: i128) -> Result<(), E> {
        self.scalar(Scalar::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.scalar(Scalar::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<(), E> {
        self.scalar(Scalar::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.scalar(Scalar::Number)
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.scalar(Scalar::Text)
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(ShapeSeed(self.shape))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(ShapeSeed(self.shape))?.is_some() {
            map.next_value_seed(ShapeSeed(self.shape))?;
        }
        Ok(())
    }
}

/// Second pass: the tree.
struct NodeSeed<'a> {
    kinds: &'a [Kind],
    next: &'a mut usize,
}

impl NodeSeed<'_> {
    fn again(&mut self) -> NodeSeed<'_> {
        NodeSeed {
            kinds: self.kinds,
            next: self.next,
        }
    }
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let at = *self.next;
        *self.next += 1;
        let value = match self.kinds.get(at) {
            Some(Kind::Scalar(scalar)) => {
                Value::Scalar(*scalar, deserializer.deserialize_str(TextVisitor)?)
            }
            Some(Kind::Other) => deserializer.deserialize_any(ValueVisitor(self))?,
            None => return Err(D::Error::custom("the text changed between two passes")),
        };
        Ok(Node { at, value })
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

struct ValueVisitor<'a>(NodeSeed<'a>);

impl<'de> Visitor<'de> for ValueVisitor<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list, a mapping or nothing")
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element_seed(self.0.again())? {
            nodes.push(node);
        }
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(key) = map.next_key_seed(self.0.again())? {
            pairs.push((key, map.next_value_seed(self.0.again())?));
        }
        Ok(Value::Map(pairs))
    }
}

/// A YAML text's data, for tests of what other modules write.
#[cfg(test)]
pub fn value(text: &str) -> Result<serde_json::Value, String> {
    serde_yaml::from_str(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The tree as text: every node with its line.
    fn show(document: &Document, node: &Node) -> String {
        let line = document.line(node.at);
        match &node.value {
            Value::Null => format!("{line}:null"),
            Value::Scalar(kind, text) => format!("{line}:{kind:?} {text}"),
            Value::List(nodes) => {
                let inner: Vec<_> = nodes.iter().map(|node| show(document, node)).collect();
                format!("{line}:[{}]", inner.join(", "))
            }
            Value::Map(pairs) => {
                let inner: Vec<_> = pairs
                    .iter()
                    .map(|(key, value)| {
                        format!("{} => {}", show(document, key), show(document, value))
                    })
                    .collect();
                format!("{line}:{{{}}}", inner.join(", "))
            }
        }
    }

    fn tree(text: &str) -> String {
        match Document::parse(text) {
            Ok(document) => show(&document, &document.root),
            Err(error) => format!("error {}:{}", error.line, error.message),
        }
    }

    #[test]
    fn every_node_has_its_line_and_its_own_text() {
        assert_eq!(
            tree("# a\na: 1.10\nb:\n  - 'x'\n  - 0x10\n  -\n  - True\nc: {d: e}\n"),
            "2:{2:Text a => 2:Number 1.10, 3:Text b => 4:[4:Text x, 5:Number 0x10, 6:null, \
             7:Bool True], 8:Text c => 8:{8:Text d => 8:Text e}}"
        );
        assert_eq!(
            tree("99999999999999999999"),
            "1:Number 99999999999999999999"
        );
        assert_eq!(
            tree("a: !!str 5\nb: &x [1]\nc: *x"),
            "1:{1:Text a => 1:Text 5, 2:Text b => 2:[2:Number 1], 3:Text c => 2:[2:Number 1]}"
        );
        assert_eq!(tree(""), "1:null");
        assert_eq!(tree("# only a comment\n"), "2:null");
    }

    #[test]
    fn what_is_not_taken() {
        for (text, message) in [
            ("a: [1,\n", "error 2:did not find expected node content"),
            ("a: !tag b", "error 1:tags are not taken"),
            ("a: 1\n---\nb: 2\n", "error 1:more than one document"),
            ("a: *x", "error 1:unknown anchor"),
        ] {
            let tree = tree(text);
            assert!(tree.starts_with(message), "{text}: {tree}");
        }
        assert_eq!(
            tree(&"[".repeat(1 << 20)),
            "error 1:more than 10000 brackets"
        );
        assert_eq!(tree(&"[".repeat(1000)), "error 1:recursion limit exceeded");
        assert_eq!(tree(&"- ".repeat(1000)), "error 1:recursion limit exceeded");
    }

    #[test]
    fn a_bomb_is_ended() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for i in 1..10 {
            let alias = format!("*a{}", i - 1);
            text += &format!("a{i}: &a{i} [{}]\n", vec![alias; 10].join(","));
        }
        assert_eq!(tree(&text), "error 1:more than 100000 values");
        let long = "- x\n".repeat(MAX_NODES + 1);
        assert!(tree(&long).ends_with("more than 100000 values"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-a:\\[\\]{}&*!|>'\"%@`,?#~ 0-9.\n\t\u{0}\u{85}\u{feff}]{0,60}") {
            if let Ok(document) = Document::parse(&text) {
                show(&document, &document.root);
            }
        }
    }
}
