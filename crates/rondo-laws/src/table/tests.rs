use super::*;

fn point(step: u64, rate: f64, loss: f64) -> Point {
    Point { step, rate, loss }
}

/// Checks that a text is read as the two rows that these tests share.
fn check(text: &str) {
    let expected = [point(10, 3e-4, 3.5), point(20, 2e-4, 3.25)];
    let table = read("a", text).expect("a table");
    assert_eq!(
        (&table.points[..], table.replaced),
        (&expected[..], 0),
        "{text:?}"
    );
}

fn refused(text: &str) -> String {
    read("a", text).expect_err("a refusal").to_string()
}

#[test]
fn columns_are_found_by_name_and_line_ends_do_not_matter() {
    let text = "loss,step,tokens,lr\n3.5,10,5120,3e-4\n\n3.25,20,10240,0.0002\n";
    check(text);
    for end in ["\r\n", "\r"] {
        check(&text.replace('\n', end));
        check(&format!("\u{feff}{end}{}", text.replace('\n', end)));
    }
    check(text.trim_end());
}

#[test]
fn names_in_capitals_are_the_same_and_the_exact_one_is_preferred() {
    check("Step,LR,Loss\n10,3e-4,3.5\n20,2e-4,3.25");
    check("STEP,lr,loss,Loss\n10,3e-4,3.5,9\n20,2e-4,3.25,9");
    assert_eq!(
        refused("step,LR,Lr,loss\n1,1,1,1"),
        "curve `a`, line 1: two columns are called `lr`"
    );
    assert!(refused("step,lr,loss,step\n1").ends_with("two columns are called `step`"));
}

#[test]
fn cells_may_be_quoted_and_have_spaces_around_them() {
    check("\"step\",\"lr\",\"loss\"\n\"10\",\"3e-4\",\"3.5\"\n\"20\",2e-4,\"3.25\"\n");
    check(" step , \"lr\" ,loss\t\n 10, \"3e-4\" , 3.5\n\"20\" ,2e-4,\" 3.25 \"\n  ,\n");
    // Another column contains a separator, a line end and a quote.
    check("note,step,lr,loss\n\"a, \"\"b\"\"\nc\",10,3e-4,3.5\n5\" disk,20,2e-4,3.25\n");
    let open = "note,step,lr,loss\nx,10,3e-4,3.5\n\"y,20,2e-4,3.25\nz,30,1e-4,3\n";
    assert_eq!(refused(open), "curve `a`, line 3: a quote is not closed");
}

#[test]
fn columns_may_be_separated_by_semicolons_and_tabs() {
    for separator in [";", "\t"] {
        let text = "step,lr,loss\n10,3e-4,3.5\n20,2e-4,3.25\n".replace(',', separator);
        check(&text);
        let quoted = "\"Step\",\"a, b\",lr,loss\n10,x,3e-4,3.5\n20,x,2e-4,3.25\n";
        check(&quoted.replace(',', separator).replace("a; b", "a, b"));
    }
    assert!(refused("step;loss\n1;2").contains("no column `lr` in `step,loss`"));
    assert!(refused("step|lr|loss\n1|2|3").contains("no column `step` in `step|lr|loss`"));
    // A decimal comma is refused: read as a separator of thousands, it would change the number.
    let comma = refused("step;lr;loss\n10;0,0003;3,5");
    assert!(
        comma.ends_with("line 2: lr: expected a number, found `0,0003`"),
        "{comma}"
    );
}

#[test]
fn a_step_is_a_whole_number_however_it_is_written() {
    check("step,lr,loss\n10.0,3e-4,3.5\n2e1,2e-4,3.25");
    check("step,lr,loss\n1.00e+01,3e-4,3.5\n+20.,2e-4,3.25");
    let largest = "step,lr,loss\n18446744073709551615,1,3";
    assert_eq!(
        read("a", largest).expect("a table").points[0].step,
        u64::MAX
    );
    for step in [
        "1.5", "-1", "-0.5", "1e16", "1e300", "inf", "NaN", "1_000", "1,000", "", "ten",
    ] {
        let message = refused(&format!("step;lr;loss\n{step};1;3"));
        let expected = format!("line 2: step: expected a whole number, found `{step}`");
        assert!(message.ends_with(&expected), "{message}");
    }
}

#[test]
fn a_resumed_run_has_its_later_rows() {
    // The run was resumed at step 20 twice; the first time the loss was NaN.
    let text = "step,lr,loss\n10,3,3.5\n20,3,9\n30,3,8\n20,2,NaN\n20,2,3.25\n30,2,3";
    let table = read("a", text).expect("a table");
    let expected = [
        point(10, 3.0, 3.5),
        point(20, 2.0, 3.25),
        point(30, 2.0, 3.0),
    ];
    assert_eq!((&table.points[..], table.replaced), (&expected[..], 3));
    // The run was resumed at a step between two rows.
    let table = read("a", "step,lr,loss\n10,3,3.5\n20,3,9\n15,2,3").expect("a table");
    assert_eq!(table.points, [point(10, 3.0, 3.5), point(15, 2.0, 3.0)]);
    // Two runs in one table, or a table in descending order.
    let two = refused("step,lr,loss\n10,3,3.5\n20,3,9\n10,2,3");
    assert!(
        two.contains("line 4: step 10 goes back to the first, 10"),
        "{two}"
    );
    assert!(refused("step,lr,loss\n20,3,9\n10,2,3").contains("line 3: step 10 goes back"));
}

#[test]
fn a_number_that_is_not_finite_is_named_with_its_line() {
    for (cells, found) in [
        ("20,2e-4,NaN", "loss: NaN"),
        ("20,2e-4,-inf", "loss: -inf"),
        ("20,Infinity,3", "lr: inf"),
        ("20,1e999,3", "lr: inf"),
    ] {
        let message = refused(&format!("step,lr,loss\n\n10,3e-4,3.5\n{cells}\n"));
        let expected =
            format!("curve `a`, line 4: {found} is not a finite number; remove the line");
        assert_eq!(message, expected);
    }
}

#[test]
fn what_cannot_be_read_is_named_with_its_line() {
    let none = "curve `a`, line 1: expected the header step,lr,loss";
    assert_eq!(refused(""), none);
    assert_eq!(refused("\u{feff}\r\r"), none);
    assert!(refused("\nstep,loss\n").contains("line 2: no column `lr` in `step,loss`"));
    let header = "step,lr,loss\n";
    assert_eq!(
        refused(&format!("{header}\n1,x,3")),
        "curve `a`, line 3: lr: expected a number, found `x`"
    );
    assert!(refused(&format!("{header}1,1")).ends_with("loss: expected a number, found ``"));
    assert_eq!(read("a", header).expect("no rows"), Table::default());
}

#[test]
fn a_message_repeats_a_short_piece_of_a_table_on_one_line() {
    let long = "x\u{7}".repeat(100_000);
    let texts = [
        long.clone(),
        format!("step,lr,loss\n1,{long},3"),
        format!("step,lr,loss\n{long},1,3"),
        format!("step,lr,loss\n1,\"{}\",3", "2\n".repeat(100_000)),
    ];
    for text in texts {
        let message = refused(&text);
        assert!(message.chars().count() < 200, "{message}");
        assert!(
            !message.contains(char::is_control) && message.contains('…'),
            "{message}"
        );
    }
}
