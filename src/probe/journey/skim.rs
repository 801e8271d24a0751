//! How much of a page has to be parsed for its forms. What no tag of a form follows cannot add to one,
//! and scripts and footers are often the larger part of a page.

/// Tags that make a form, its fields and what they send, or take a part of the page away.
const TELLING: [&str; 14] = [
    "form", "input", "select", "textarea", "button", "option", "optgroup", "fieldset", "legend", "datalist",
    "template", "base", "frameset", "object",
];

/// A shorter rest is not worth leaving out.
const WORTH: usize = 1024;

/// Where the forms of a page end: behind the last tag, opening or closing, that concerns one. It is
/// found in the text as it stands, so that it may lie in a comment or in an attribute; whoever parses
/// has to look whether a tag ends there. `None` where the rest is short, or matters all the same.
pub fn end(text: &str) -> Option<usize> {
    let last = text.rmatch_indices('<').map(|(at, _)| at).find(|at| tells(text, *at))?;
    let end = last + text.get(last..)?.find('>')? + 1;
    // What follows an open list is a part of it.
    let lists = |tag: &str| count(text.get(..end).unwrap_or_default(), tag);
    (text.len() - end >= WORTH && lists("<select") == lists("</select")).then_some(end)
}

/// Whether the `<` at that place may begin a telling tag.
fn tells(text: &str, at: usize) -> bool {
    let name = text.as_bytes().get(at + 1..).unwrap_or_default();
    let name = name.strip_prefix(b"/").unwrap_or(name);
    TELLING
        .iter()
        .any(|tag| name.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes())))
}

fn count(text: &str, tag: &str) -> usize {
    let is = |at: usize| {
        text.as_bytes()
            .get(at..at + tag.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()))
    };
    text.match_indices('<').filter(|(at, _)| is(*at)).count()
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::super::capture::{Form, Missing};
    use super::super::form;
    use super::super::html::{Document, Selector};

    fn rest() -> String {
        "<p>rest <a href=x>of</a> the page</p>\n".repeat(60)
    }

    fn taken(document: &Document, selector: &str) -> Result<Form, Missing> {
        form::form(document, &Selector::new(selector).unwrap(), &Url::parse("https://a.example/x").unwrap())
    }

    #[test]
    fn a_form_is_the_same_whether_the_rest_of_the_page_is_read_or_not() {
        for page in [
            "<form id=f action=/go><input name=a value=1></form>",
            "<form id=f><input name=a value=\"x>y\"></form>",
            "<form id=f><textarea name=a>text</textarea><select name=s><option>A<option selected>B</select></form>",
            "<form id=f></form><input form=f name=a value=2>",
            "<form id=f><input name=a value=1>",
            "<base href=/base/><form id=f action=go><fieldset disabled><input name=a></fieldset></form>",
            "<table><form id=f><tr><td><input name=a value=1></table></form>",
            "<template><form id=f></form></template><FORM id=f><INPUT name=b></FORM>",
        ] {
            let page = format!("<!doctype html><title>t</title>{page}{}", rest());
            let whole = taken(&Document::new(&page, true).unwrap(), "form#f");
            let skimmed = Document::of_forms(&page).unwrap();
            assert!(taken(&skimmed, "form#f") == whole && whole.is_ok(), "{page:.200}");
        }
    }

    #[test]
    fn a_page_is_read_to_its_end_where_the_last_tag_may_be_none() {
        for page in [
            // Each ends inside something else: a comment, a script, a text area, an attribute, a list.
            "<form id=f><input name=a></form><!-- </form>",
            "<form id=f><input name=a></form><script>'<input>'",
            "<form id=f><textarea name=a><input>",
            "<form id=f><input name=a value=\"'\" title='<input>",
            "<form id=f><input name=a value='\"' x=\">\">",
            "<form id=f></form><input form=f name=a value='x>y' data-b=\">\">",
            "<form id=f><select name=s><option>A</form>",
        ] {
            let page = format!("{page}{}", rest());
            let whole = Document::new(&page, true).unwrap();
            match Document::of_forms(&page) {
                None => {}
                Some(skimmed) => assert!(taken(&skimmed, "#f") == taken(&whole, "#f"), "{page:.200}"),
            }
        }
        assert!(Document::of_forms(&format!("<form id=f></form><!-- <input> {}", rest())).is_none());
        assert!(Document::of_forms("<form id=f></form>").is_none(), "nothing would be saved");
    }
}
