use std::cell::Cell;

use super::*;

thread_local! {
    pub(super) static LOOKED: Cell<usize> = const { Cell::new(0) };
}

#[test]
fn a_page_is_read() {
    let mut told = Vec::new();
    let mut take = |event: Event<'_>| -> Result<(), ParseError> {
        told.push(match event {
            Event::Sample(sample) => format!("{:?} {:?} {:?}", sample.identity()?, sample.value, sample.at),
            other => format!("{other:?}"),
        });
        Ok(())
    };
    let mut parser = Parser::new(Format::Text);
    parser.feed(b"# HELP a b\n# TYPE a gauge\na{b=\"c\\\"\"} 1 5\n", &mut take).unwrap();
    parser.finish(&mut take).unwrap();
    assert_eq!(told.len(), 3);
}
