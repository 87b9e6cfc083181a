//! Several things at a time.

use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

/// Applies `f` to each item, as many at a time as there are processors; the results keep the order.
pub fn map<T: Send, R: Send>(items: impl IntoIterator<Item = T>, f: impl Fn(T) -> R + Sync) -> Vec<R> {
    let mut items = items.into_iter().enumerate().collect::<Vec<_>>();
    items.reverse();
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(items.len());
    let queue = Mutex::new(items);
    let results = Mutex::new(Vec::new());
    let work = || {
        while let Some((index, item)) = locked(&queue, Vec::pop) {
            let result = f(item);
            locked(&results, |results| results.push((index, result)));
        }
    };
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let mut results = results.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Uses what a mutex protects. The scope passes a panic on, so a poisoned one does no harm.
fn locked<T, R>(mutex: &Mutex<T>, f: impl FnOnce(&mut T) -> R) -> R {
    f(&mut mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_keep_the_order_of_the_items() {
        let doubled = map(0..50, |item| {
            thread::sleep(Duration::from_micros(50 - item));
            item * 2
        });
        assert_eq!(doubled, (0..50).map(|item| item * 2).collect::<Vec<_>>());
        assert_eq!(map([], |item: u32| item), Vec::<u32>::new());
    }
}
