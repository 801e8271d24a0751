//! Bags of certificates: SignedData without a signer (RFC 5652 section 5, RFC 5280 section 4.2.2.1), as
//! authorities publish their certificates.

use super::der::{self, INTEGER, Malformed, OID, Reader, SEQUENCE, SET, bad, constructed};

/// The most certificates read of one bag.
const MOST: usize = 32;
const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";

/// The certificates in a bag, as encoded; nothing of it is verified.
///
/// # Errors
/// The bytes are no such bag in DER, or hold more than 32 certificates.
pub fn certificates(bag: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    const WHAT: &str = "bag of certificates";
    let mut outer = Reader::new(der::only(bag, SEQUENCE, WHAT)?.value);
    if der::oid(outer.expect(OID, WHAT)?.value, WHAT)? != SIGNED_DATA {
        return Err(bad(WHAT, "it is no signed data"));
    }
    let content = outer.expect(constructed(0), WHAT)?.value;
    let mut fields = Reader::new(der::only(content, SEQUENCE, WHAT)?.value);
    fields.expect(INTEGER, WHAT)?;
    fields.expect(SET, WHAT)?;
    fields.expect(SEQUENCE, WHAT)?;
    let Some(list) = fields.optional(constructed(0), WHAT)? else {
        return Ok(Vec::new());
    };
    let mut list = Reader::new(list.value);
    let mut found = Vec::new();
    while !list.is_empty() {
        let element = list.any(WHAT)?;
        // Other choices are attribute certificates and forms of before 1998.
        if element.tag == SEQUENCE {
            found.push(element.whole);
        }
        if found.len() > MOST {
            return Err(bad(WHAT, "it holds more than 32 certificates"));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut der = super::super::sequence(content);
        der[0] = tag;
        der
    }

    fn bag(certificates: &[Vec<u8>]) -> Vec<u8> {
        let signed_data = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
        let data = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
        let content = [
            element(INTEGER, &[1]),
            element(SET, &[]),
            element(SEQUENCE, &data),
            element(constructed(0), &certificates.concat()),
            element(SET, &[]),
        ];
        let content = element(constructed(0), &element(SEQUENCE, &content.concat()));
        element(SEQUENCE, &[&signed_data[..], &content].concat())
    }

    #[test]
    fn each_certificate_of_a_bag_is_found() {
        let (one, two) = (element(SEQUENCE, &[1; 200]), element(SEQUENCE, &[2]));
        let other = element(constructed(1), &[3]);
        assert_eq!(certificates(&bag(&[one.clone(), other, two.clone()])), Ok(vec![&*one, &*two]));
        assert_eq!(certificates(&bag(&[])), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_bag_or_too_much_of_one_is_refused() {
        let one = element(SEQUENCE, &[1]);
        assert!(certificates(&one).is_err());
        assert!(certificates(&bag(&vec![one.clone(); 33])).is_err());
        let whole = bag(&[one]);
        for cut in 0..whole.len() {
            assert!(certificates(&whole[..cut]).is_err());
        }
    }
}
