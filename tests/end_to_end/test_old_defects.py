"""What the system that this one re-does got wrong: each defect and the test that would catch it.

The table is kept honest: every test that it names exists, with the case that is meant.  What no
other test looks at is tested here.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.end_to_end.film_checks import check_film
from tests.end_to_end.films import Film, ask, made

ROOT = Path(__file__).parents[2]
FILMS = "tests/end_to_end/test_films.py"
GARBAGE = "tests/end_to_end/test_garbage.py"
KILLS = "tests/end_to_end/test_real_kills.py"
PROOF = "tests/end_to_end/test_proof.py"
WORKERS = "tests/adapters/test_workers.py"
RUNTIME = "tests/services/test_runtime.py"
CONTROLLER = "tests/services/fallback_controller/test_core.py"
CLI = "tests/services/cli"

CAUGHT_BY: dict[str, tuple[str, ...]] = {
    "pictures stretched to 9:16": (
        f"{FILMS}::test_a_hero_is_as_wide_as_the_frame_and_not_stretched",
        f"{FILMS}::test_an_overlay_shows_the_whole_product_once",
    ),
    "no motion at all": (
        f"{FILMS}::test_the_picture_moves",
        "tests/end_to_end/test_motion_measured.py::test_what_is_drawn_moves_as_it_should",
    ),
    "the product pasted twice": (f"{FILMS}::test_an_overlay_shows_the_whole_product_once",),
    "only the first picture used": (
        f"{FILMS}::test_every_picture_is_shown",
        "tests/assembler/test_film.py::test_assets_take_turns",
    ),
    "crossfades that shorten the film": (
        f"{FILMS}::test_music_voice_and_a_crossfade_keep_film_and_length",
        f"{FILMS}::test_every_length_from_the_command_line",
        "tests/services/planner/test_plan.py::test_the_film_is_as_long_as_was_asked",
    ),
    "center and upper_third ignored": (f"{FILMS}::test_words_lie_where_the_preset_says",),
    "long captions off both edges": (
        f"{FILMS}::test_a_long_caption_stays_inside",
        "tests/assembler/test_lettering.py::test_all_ink_lies_in_its_box_and_nothing_is_cut",
    ),
    "50% making a caption vanish, and %{pts} evaluated": (
        f"{FILMS}::test_awkward_words_are_shown_as_they_are",
        f"{GARBAGE}::test_words_of_any_kind",
    ),
    "quotes dropped": (f"{FILMS}::test_awkward_words_are_shown_as_they_are",),
    "Arabic, Hindi, Chinese and emoji as boxes": (
        f"{GARBAGE}::test_words_of_any_kind",
        "tests/end_to_end/test_scripts.py::test_with_a_font_of_the_system_it_is_drawn",
        "tests/end_to_end/test_scripts.py::test_without_a_font_it_is_rejected_by_name",
    ),
    "voice with music always a template slide, and called done": (
        f"{FILMS}::test_music_voice_and_a_crossfade_keep_film_and_length",
    ),
    "audio at 96 kHz and +0.4 dBTP": (
        "tests/end_to_end/test_heard.py::test_loudness_and_peak_as_others_measure_them",
        f"{FILMS}::test_every_kind_of_picture_makes_a_film",
    ),
    "no audio track when none was given": (
        "tests/end_to_end/test_old_defects.py::test_a_film_without_sound_has_a_silent_track",
        "tests/assembler/test_sound.py::test_no_track_makes_a_silent_one",
    ),
    "a job of one second always a template slide": (
        f"{FILMS}::test_a_second_is_enough_for_a_film",
    ),
    "the fallback flag false after a fallback": (
        f"{PROOF}::test_a_product_that_moves_too_much_for_its_bits_stands_still",
        "tests/simulation/test_simulation.py::test_failing_engines_never_end_without_a_word",
        f"{CONTROLLER}::test_a_permanent_failure_descends_at_once_and_says_why",
    ),
    "jobs behind a crash stuck for ever": (
        f"{KILLS}::test_worker_processes_are_killed",
        f"{WORKERS}::test_the_end_of_a_worker_is_a_failure_and_the_next_call_works",
        f"{GARBAGE}::test_after_all_that_a_film_is_made",
    ),
    "a second worker stealing a running job": (
        f"{KILLS}::test_two_segment_renderers_share_a_film",
        "tests/contracts/test_durables.py::test_work_in_progress_is_kept",
        f"{RUNTIME}::test_a_message_that_comes_again_under_its_work_is_not_worked_at_twice",
    ),
    "the first request after start lost": (
        f"{KILLS}::test_two_renders_at_once_in_a_new_home",
        f"{CLI}/test_daemon.py::test_work_is_done_though_nobody_waits",
    ),
    "a path in a file name writing outside the store": (
        "tests/services/gateway/test_routes.py::test_a_path_in_a_file_name_leads_nowhere",
        "tests/contracts/test_artifact_store.py::test_a_name_that_is_no_sha256_leads_nowhere",
        f"{GARBAGE}::test_a_request_out_of_bounds",
    ),
    "any file of the host readable as an asset": (
        f"{GARBAGE}::test_what_services_must_not_read",
        "tests/adapters/test_assets.py::test_what_may_not_be_read_is_refused_in_words",
    ),
    "245 s spent on an undecodable picture": (f"{GARBAGE}::test_a_picture_that_is_none",),
}
SLOW = "pytest.mark.slow"
NAMED = sorted({node for nodes in CAUGHT_BY.values() for node in nodes})


@pytest.mark.parametrize("node", NAMED)
def test_what_the_table_names_exists(node: str) -> None:
    """Whoever renames a test that guards an old defect renames it here."""
    path, _, name = node.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = {
        each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert name in functions


def test_each_defect_is_guarded_in_the_default_run() -> None:
    """At least one of its tests is not among the slow ones."""
    unguarded = [
        defect for defect, nodes in CAUGHT_BY.items() if all(_is_slow(node) for node in nodes)
    ]
    assert unguarded == []


def _is_slow(node: str) -> bool:
    path, _, name = node.partition("::")
    for each in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name == name:
            return any(ast.unparse(mark) == SLOW for mark in each.decorator_list)
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "pytestmark":
            marks = each.value.elts if isinstance(each.value, ast.List) else [each.value]
            if SLOW in map(ast.unparse, marks):
                return True
    return False


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """A film of words, for which no sound was given."""
    return made(tmp_path_factory.mktemp("silent"), {"film": ask("brand_safe_minimal")})["film"]


def test_a_film_without_sound_has_a_silent_track(silent: Film) -> None:
    """Some platforms refuse a file without one: it is there, as long as the film, and silent."""
    found = check_film(silent.path, 1)
    assert (found.sound_codec, found.sound_rate, found.sound_channels) == ("aac", 48_000, 2)
    assert found.true_peak_db < -90
    assert silent.job.soundtrack is not None
