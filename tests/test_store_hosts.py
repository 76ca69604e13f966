"""Which of PostgreSQL's hosts a new connection asks first."""

from golub.store.hosts import DOUBTED_AFTER, Hosts


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self) -> None:
        self.now += 2 * DOUBTED_AFTER


def first(hosts: Hosts) -> str:
    return hosts.ordered("a,b")["host"].partition(",")[0]


def test_one_host_stays_as_it_is() -> None:
    assert Hosts().ordered("a", "5432") == {}
    assert Hosts().ordered("") == {}


def test_who_answered_last_is_asked_first_and_ports_go_with_their_hosts() -> None:
    hosts = Hosts()
    assert hosts.ordered("a,b,c", "1,2,3") == {"host": "a,b,c", "port": "1,2,3"}
    hosts.answered("b")
    assert hosts.ordered("a,b,c", "1,2,3") == {"host": "b,a,c", "port": "2,1,3"}
    assert hosts.ordered("a,b,c", "5433") == {"host": "b,a,c", "port": "5433,5433,5433"}
    assert hosts.ordered("a,b,c") == {"host": "b,a,c"}


def test_a_host_that_says_nothing_is_asked_last_until_another_one_answers() -> None:
    time = Time()
    hosts = Hosts(time)
    assert [first(hosts), first(hosts)] == ["a", "a"]  # it may still answer
    time.pass_by()
    assert first(hosts) == "b"
    hosts.answered("b")
    time.pass_by()
    assert [first(hosts), first(hosts)] == ["b", "b"]


def test_while_none_answers_they_are_asked_in_turn() -> None:
    time = Time()
    hosts = Hosts(time)
    hosts.answered("a")
    asked: list[str] = []
    for _ in range(5):
        asked.append(first(hosts))
        time.pass_by()
    assert asked == ["a", "b", "a", "b", "a"]
