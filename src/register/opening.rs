//! What a table says about money, compared with the book.
//!
//! In: the rows of an import. Out: opening entries for cars that the book knows nothing of, and an error for each row that
//! contradicts it: money is changed through the book, not through a table.

use super::exchange::{RowError, Told};
use super::{Reason, Standing, today};
use crate::ledger::{Account, Book, Draft, Exemption, Fen, What, Who};

/// Why a car that a list says need not pay, need not pay.
const FROM_A_LIST: &str = "taken over from the stewards' list";

/// The entries that follow from a table, and the rows that contradict the book.
pub fn drafts(by: &str, told: &[Told], book: &Book) -> (Vec<Draft>, Vec<RowError>) {
    let (mut drafts, mut errors) = (Vec::new(), Vec::new());
    for line in told {
        let dues = book.dues(&line.plate, &line.household);
        let mut wrong = |reason: Reason| errors.push(RowError { row: line.row, reason });
        match line.paid {
            Some(paid) if paid == dues.paid => {}
            Some(paid) if book.of_car(&line.plate).next().is_none() => drafts.push(opening(by, line, paid, book)),
            Some(paid) => wrong(Reason::new(
                format!("{}：表中已缴 {paid} 元，账本里是 {} 元。请在账本里收款或退款", line.plate, dues.paid),
                format!(
                    "paid '{paid}': the book has {} for {}: take money or refund it there (plategate ledger)",
                    dues.paid, line.plate
                ),
            )),
            None => {}
        }
        let exempt = dues.on(today()).standing == Standing::Exempt;
        match line.exempt {
            Some(true) if !exempt => drafts.push(exemption(by, line)),
            Some(false) if exempt => {
                wrong(Reason::new(
                    format!("{} 在账本里是免缴。请在账本里更正那一笔", line.plate),
                    format!("{} is exempted in the book: correct that entry there (plategate ledger)", line.plate),
                ));
            }
            _ => {}
        }
    }
    (drafts, errors)
}

fn opening(by: &str, line: &Told, amount: Fen, book: &Book) -> Draft {
    let account = Account::Campaign(book.main_campaign().name);
    let household = Some(line.household.clone());
    Draft::now(by, What::Opening { account, amount, plate: Some(line.plate), household })
}

fn exemption(by: &str, line: &Told) -> Draft {
    let (who, from) = (Who::Plate(line.plate), today());
    let exemption = Exemption { who, from, until: None, vote: None, reason: FROM_A_LIST.into() };
    Draft::now(by, What::Exemption(exemption))
}
