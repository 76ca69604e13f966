"""Templates call what they are given as it is, and what comes out is escaped all the same."""

from golub.web import page


def test_nothing_that_templates_call_wants_more_than_it_is_given() -> None:
    """Jinja marks by `jinja_pass_arg` what must be given the context, its evaluation, or the environment as well."""
    environment = page._environment()
    for name, called in environment.globals.items():
        assert getattr(called, "jinja_pass_arg", None) is None, name
    assert environment.autoescape is True, "macros ask for what is only needed where this changes"


def test_a_macro_escapes_what_it_is_given_and_not_what_it_has_made() -> None:
    template = page._environment().from_string(
        "{% macro bold(words) %}<b>{{ words }}{{ caller() }}</b>{% endmacro %}"
        "{% for words in given %}{% call bold(words) %}<i>{{ words }}</i>{% endcall %}{{ bold_of(words) }}{% endfor %}"
    )
    assert template.render(given=["<x>"], bold_of=lambda words: words) == "<b>&lt;x&gt;<i>&lt;x&gt;</i></b>&lt;x&gt;"
