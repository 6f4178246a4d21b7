use super::*;

fn digest(n: u32) -> Digest {
    format!("{n:064x}").parse().unwrap()
}

const HERE: Option<Position> = Some(Position { x: 3, y: 4 });

fn at(folder: &std::path::Path) -> Personal {
    let path = folder.join("personal.sqlite3");
    SCHEMA.make(&path).unwrap();
    Personal::load(Database::open(&path).unwrap())
}

#[test]
fn all_of_it_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let personal = at(folder.path());
    personal.place(&[(digest(1), HERE), (digest(2), HERE)]).unwrap();
    personal.set_favorite(&digest(2), true).unwrap();
    personal.booted(&digest(2));
    personal.known().see(&[digest(2), digest(3)], Moment::of(1_700_000_000).unwrap(), |_| true);
    personal.save();
    let again = at(folder.path());
    for n in 1..4 {
        assert_eq!(again.known().get(&digest(n)), personal.known().get(&digest(n)), "{n}");
    }
    let Notes { position, favorite, added, booted } = again.known().get(&digest(2));
    assert_eq!((position, favorite, booted.is_some()), (HERE, true, true));
    assert_eq!(added.unwrap().rfc3339(), "2023-11-14T22:13:20Z");
    assert_eq!(again.known().get(&digest(1)).position, None, "the second one has taken its place");
    again.clear_places().unwrap();
    assert_eq!(at(folder.path()).known().get(&digest(2)), Notes { position: None, ..again.known().get(&digest(2)) });
    assert_eq!(again.known().get(&digest(2)).position, None);
}

#[test]
fn what_cannot_be_written_does_not_count() {
    let database = Database::in_memory(&SCHEMA).unwrap();
    database.with(|sql| sql.execute("DROP TABLE images", ())).unwrap();
    let personal = Personal::load(database);
    personal.place(&[(digest(1), HERE)]).unwrap_err();
    personal.set_favorite(&digest(1), true).unwrap_err();
    assert_eq!(personal.known().get(&digest(1)), Notes::default());
    assert!(personal.take_changed().is_empty());
}

#[test]
fn it_does_not_grow_with_every_image_that_a_server_invents() {
    let personal = Personal::load(Database::in_memory(&SCHEMA).unwrap());
    let now = Moment::of(1).unwrap();
    personal.set_favorite(&digest(7), true).unwrap();
    let mut first = 1000;
    for _ in 0..5 {
        let new: Vec<_> = (first..first + 40_000).map(digest).collect();
        let listed: HashSet<_> = new.iter().copied().collect();
        personal.known().see(&new, now, |digest| listed.contains(digest));
        first += 40_000;
    }
    personal.save();
    assert!(personal.known().images.len() <= MOST);
    assert!(personal.known().get(&digest(first - 1)).added.is_some());
    assert!(personal.known().get(&digest(7)).favorite);
    let rows = personal.0.database.as_ref().unwrap();
    let rows = rows.with(|sql| sql.query_row("SELECT count(*) FROM images", (), |row| row.get::<_, u32>(0))).unwrap();
    assert_eq!(rows as usize, personal.known().images.len());
}
