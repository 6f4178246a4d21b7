//! A parallel map over strips: all cores work, and the results come in order.
//!
//! Of T threads, thread k works on the strips k, k + T, k + 2T and so on, and has a short queue of its own. So keeping the
//! order costs nothing, the queues bound the memory, and the failure that is reported is the first one in the file.

use std::num::NonZeroUsize;
use std::sync::mpsc::sync_channel;
use std::thread::available_parallelism;

use crate::task::scope;

/// More threads than this would only keep more strips in memory.
const MOST_THREADS: NonZeroUsize = NonZeroUsize::new(8).expect("eight is not zero");
/// How many results of each thread may wait.
const WAITING: usize = 2;

/// How many threads work at once: by default one per core. The result does not depend on the number.
#[derive(Clone, Copy, Debug)]
pub struct Threads(pub NonZeroUsize);

impl Default for Threads {
    fn default() -> Self {
        Self(available_parallelism().map_or(NonZeroUsize::MIN, |cores| cores.min(MOST_THREADS)))
    }
}

/// Runs `work` for each of `numbers`, with one `state` per thread, and passes the results to `consume` in order.
pub(super) fn parallel_map<S, T: Send, E: Send>(
    threads: Threads,
    numbers: std::ops::Range<usize>,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> Result<T, E> + Sync,
    mut consume: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    let threads = threads.0.get().min(numbers.len().max(1));
    if threads == 1 {
        let mut state = state();
        return { numbers }.try_for_each(|number| consume(number, work(&mut state, number)?));
    }
    let (state, work) = (&state, &work);
    scope(|scope| {
        let lanes: Vec<_> = (0..threads)
            .map(|lane| {
                let (results, lane_results) = sync_channel(WAITING);
                let mine = numbers.clone().skip(lane).step_by(threads);
                scope.spawn(move || {
                    let mut state = state();
                    for number in mine {
                        // Another thread's failure has ended the work, so the receiver is gone.
                        if results.send(work(&mut state, number)).is_err() {
                            return;
                        }
                    }
                });
                lane_results
            })
            .collect();
        for (turn, number) in numbers.clone().enumerate() {
            let result = lanes[turn % threads].recv().expect("a thread sends every result, or panics with the scope");
            consume(number, result?)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_the_first_failure_wins() {
        for threads in [1, 3, 200] {
            let mut seen = Vec::new();
            let outcome = parallel_map(
                Threads(NonZeroUsize::new(threads).unwrap()),
                3..100,
                || 0,
                |_, number| if matches!(number, 50 | 51 | 99) { Err(number) } else { Ok(number * 2) },
                |number, double| {
                    assert_eq!(double, number * 2);
                    seen.push(number);
                    Ok(())
                },
            );
            assert_eq!(outcome, Err(50));
            assert_eq!(seen, (3..50).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_consumer_that_fails_ends_the_work() {
        let threads = Threads::default();
        assert_eq!(
            parallel_map(threads, 0..1000, || (), |(), n| Ok(n), |n, _| if n == 7 { Err(n) } else { Ok(()) }),
            Err(7)
        );
        assert_eq!(parallel_map(threads, 0..0, || (), |(), n| Ok::<_, usize>(n), |n, _| Err(n)), Ok(()));
    }
}
