//! What was refused, and is kept aside: looked at, and sent again on wish.

use super::{Again, Aside, Done, Position, Queue, QueueError, Refused};

impl Queue {
    /// Lets everything that was refused at an endpoint be sent again; says what there is.
    ///
    /// # Errors
    /// [`QueueError`]: nothing was changed.
    pub async fn retry(&self, endpoint: &str) -> Result<Aside, QueueError> {
        let endpoint = endpoint.to_owned();
        let aside = self.store(move |store| store.retry(&endpoint)).await;
        self.appended.send_modify(|count| *count += 1);
        aside
    }

    /// The oldest refused record that is to be sent again, after everything else.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn peek_again(&self, endpoint: &str) -> Result<Option<Again>, QueueError> {
        let endpoint = endpoint.to_owned();
        self.look(move |store| store.next_again(&endpoint)).await
    }

    /// What is done of a refused record that was sent again, from `from` on, where it still begins there:
    /// what is left of it stays, what was refused once more lies on the shelf like all others.
    ///
    /// # Errors
    /// [`QueueError`]: nothing was changed, and the same call is to be made again.
    pub async fn settle(&self, shelf: u64, from: Position, done: Done) -> Result<(), QueueError> {
        self.store(move |store| store.settle(shelf, from, &done)).await
    }

    /// What was set aside for an endpoint, oldest first.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn refused(&self, endpoint: &str) -> Result<Vec<Refused>, QueueError> {
        let endpoint = endpoint.to_owned();
        self.look(move |store| store.refused(&endpoint)).await
    }
}
