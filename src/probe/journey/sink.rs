//! Parses HTML within bounds. The parser of the HTML standard has shapes of input on which it takes
//! quadratic time or makes many nodes of few bytes (deep nesting, open formatting elements, tags
//! with very many attributes), so it is fed in small pieces and stopped when a page goes too far.

use std::borrow::Cow;
use std::cell::{Cell, Ref, RefCell};
use std::collections::HashMap;

use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::{Attribute, ParseOpts, Parser, QualName, parse_document};
use scraper::{Html, HtmlTreeSink};

/// A node of the tree.
pub type NodeId = <HtmlTreeSink as TreeSink>::Handle;

/// What the parser is fed at once, in bytes. It may overshoot a bound by what one piece can do.
const PIECE: usize = 1024;

/// Elements may be open in each other this deep; the browsers' own limit.
const DEEPEST: usize = 512;

/// The most elements of a page.
const MOST_ELEMENTS: usize = 250_000;

/// How often names of attributes may be compared with those before them in the same tag, estimated
/// by the characters that can separate attributes.
const MOST_COMPARISONS: usize = 200_000_000;

/// So many separators cost nothing worth counting, however often: they stand in long values too,
/// such as the path of a drawing.
const FEW: usize = 512;

/// The most attributes that repeated `<html>` and `<body>` tags may add to the first ones.
const MOST_ADDED: usize = 1_000;

/// A comment that is put behind the beginning of a page.
const MARK: &str = "portalwatch: the beginning ends here";

/// Why a page is not parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// Too many elements are open in each other.
    #[error("the page nests its elements more than {DEEPEST} deep")]
    Deep,
    /// Too many elements.
    #[error("the page has more than {MOST_ELEMENTS} elements")]
    Many,
    /// A tag or a comment goes on and on.
    #[error("the page has a tag or a comment of excessive length")]
    Long,
}

/// A parsed page.
pub struct Parsed {
    /// The tree.
    pub html: Html,
    /// Which form the parser gave a field to. It differs from the form around it in the tree where
    /// a form stands between the parts of a table.
    pub owners: HashMap<NodeId, NodeId>,
}

/// Parses a page.
///
/// # Errors
/// Which bound it exceeds.
pub fn parse(text: &str) -> Result<Parsed, TooMuch> {
    let mut parser = parse_document(Bounded::new(), ParseOpts::default());
    feed(&mut parser, text)?;
    Ok(parser.finish())
}

/// Parses the beginning of a page, if it ends between two tags, in no script, comment or text area.
///
/// # Errors
/// Which bound it exceeds.
pub fn parse_beginning(text: &str) -> Result<Option<Parsed>, TooMuch> {
    let mut parser = parse_document(Bounded::new(), ParseOpts::default());
    feed(&mut parser, text)?;
    // Only there the parser takes this for a comment of its own.
    parser.process(StrTendril::from_slice(&format!("<!--{MARK}-->")));
    let marked = parser.tokenizer.sink.sink.marked.get();
    Ok(marked.then(|| parser.finish()))
}

fn feed(parser: &mut Parser<Bounded>, text: &str) -> Result<(), TooMuch> {
    let all = StrTendril::from_slice(text);
    let mut separators = Separators::default();
    let mut start = 0;
    while start < text.len() {
        let end = text.floor_char_boundary((start + PIECE).min(text.len()));
        let (Some(piece), Ok(at), Ok(length)) =
            (text.get(start..end), u32::try_from(start), u32::try_from(end - start))
        else {
            return Err(TooMuch::Long);
        };
        let sink = &parser.tokenizer.sink.sink;
        sink.moved.set(false);
        parser.process(all.subtendril(at, length));
        let sink = &parser.tokenizer.sink.sink;
        separators.pass(piece, sink.moved.get())?;
        sink.check()?;
        start = end;
    }
    parser.tokenizer.sink.sink.marked.set(false);
    Ok(())
}

/// Counts what can separate attributes since the parser last said something: in a tag it is silent,
/// and compares each attribute with all before it.
#[derive(Default)]
struct Separators {
    silent: usize,
    comparisons: usize,
}

impl Separators {
    fn pass(&mut self, piece: &str, moved: bool) -> Result<(), TooMuch> {
        let separates = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'"' | b'\'');
        let here = piece.bytes().filter(|byte| separates(byte)).count();
        if moved {
            self.silent = here;
            return Ok(());
        }
        self.silent += here;
        if self.silent > FEW {
            self.comparisons += self.silent * here;
        }
        if self.comparisons > MOST_COMPARISONS { Err(TooMuch::Long) } else { Ok(()) }
    }
}

/// Builds the tree, counts what it builds, and notes the owners of fields.
struct Bounded {
    tree: HtmlTreeSink,
    owners: RefCell<HashMap<NodeId, NodeId>>,
    elements: Cell<usize>,
    added: Cell<usize>,
    last: Cell<Option<NodeId>>,
    moved: Cell<bool>,
    /// The last comment was [`MARK`].
    marked: Cell<bool>,
}

impl Bounded {
    fn new() -> Self {
        Self {
            tree: HtmlTreeSink::new(Html::new_document()),
            owners: RefCell::default(),
            elements: Cell::new(0),
            added: Cell::new(0),
            last: Cell::new(None),
            moved: Cell::new(false),
            marked: Cell::new(false),
        }
    }

    fn check(&self) -> Result<(), TooMuch> {
        if self.elements.get() > MOST_ELEMENTS {
            return Err(TooMuch::Many);
        }
        let html = self.tree.0.borrow();
        let last = self.last.get().and_then(|last| html.tree.get(last));
        match last {
            Some(node) if node.ancestors().nth(DEEPEST).is_some() => Err(TooMuch::Deep),
            _ => Ok(()),
        }
    }
}

impl TreeSink for Bounded {
    type Handle = NodeId;
    type Output = Parsed;
    type ElemName<'a> = Ref<'a, QualName>;

    fn finish(self) -> Parsed {
        Parsed { html: self.tree.finish(), owners: self.owners.into_inner() }
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> NodeId {
        self.tree.get_document()
    }

    fn elem_name<'a>(&'a self, target: &'a NodeId) -> Ref<'a, QualName> {
        self.tree.elem_name(target)
    }

    fn create_element(&self, name: QualName, attrs: Vec<Attribute>, flags: ElementFlags) -> NodeId {
        let created = self.tree.create_element(name, attrs, flags);
        self.elements.set(self.elements.get() + 1);
        self.last.set(Some(created));
        self.moved.set(true);
        created
    }

    fn create_comment(&self, text: StrTendril) -> NodeId {
        self.moved.set(true);
        self.marked.set(&*text == MARK);
        self.tree.create_comment(text)
    }

    fn create_pi(&self, target: StrTendril, data: StrTendril) -> NodeId {
        self.tree.create_pi(target, data)
    }

    fn append(&self, parent: &NodeId, child: NodeOrText<NodeId>) {
        self.moved.set(true);
        self.tree.append(parent, child);
    }

    fn append_based_on_parent_node(
        &self,
        element: &NodeId,
        prev_element: &NodeId,
        child: NodeOrText<NodeId>,
    ) {
        self.moved.set(true);
        self.tree.append_based_on_parent_node(element, prev_element, child);
    }

    fn append_doctype_to_document(&self, name: StrTendril, public_id: StrTendril, system_id: StrTendril) {
        self.tree.append_doctype_to_document(name, public_id, system_id);
    }

    fn pop(&self, _: &NodeId) {
        self.moved.set(true);
    }

    fn get_template_contents(&self, target: &NodeId) -> NodeId {
        self.tree.get_template_contents(target)
    }

    fn same_node(&self, x: &NodeId, y: &NodeId) -> bool {
        x == y
    }

    fn set_quirks_mode(&self, mode: QuirksMode) {
        self.tree.set_quirks_mode(mode);
    }

    fn append_before_sibling(&self, sibling: &NodeId, new_node: NodeOrText<NodeId>) {
        self.moved.set(true);
        self.tree.append_before_sibling(sibling, new_node);
    }

    fn add_attrs_if_missing(&self, target: &NodeId, attrs: Vec<Attribute>) {
        self.added.set(self.added.get() + attrs.len());
        if self.added.get() <= MOST_ADDED {
            self.tree.add_attrs_if_missing(target, attrs);
        }
    }

    fn associate_with_form(&self, target: &NodeId, form: &NodeId, _: (&NodeId, Option<&NodeId>)) {
        self.owners.borrow_mut().insert(*target, *form);
    }

    fn remove_from_parent(&self, target: &NodeId) {
        self.tree.remove_from_parent(target);
    }

    fn reparent_children(&self, node: &NodeId, new_parent: &NodeId) {
        self.tree.reparent_children(node, new_parent);
    }
}
