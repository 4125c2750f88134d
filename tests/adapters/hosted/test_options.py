"""What can be set about a hosted engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.hosted.declaration import SHIPPED
from adapters.hosted.options import MARGIN_S
from config.errors import ConfigError
from config.models import EngineSettings
from tests.hosted.bench import config, declared, settings


def test_options_lie_over_the_declaration() -> None:
    """Settings, offers, price, deadline and address; all else is declared."""
    over, _ = declared(
        settings(
            "runway",
            base_url="http://127.0.0.1:9/",
            settings={"model": "veo3.1"},
            durations=[{"send": 4, "seconds": 4}],
            sizes=[{"send": "1080:1920", "width": 1080, "height": 1920}],
            price={"per_second": 0.4},
            deadline_s=100,
        )
    )
    assert ("http://127.0.0.1:9", "veo3.1") == (over.base_url, over.settings["model"])
    assert [4] == [duration.seconds for duration in over.offers.durations]
    assert over.price is not None
    assert (1.6, 100) == (over.price.of(4), over.poll.deadline_s)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"price": None}, "options: price: is missing, and none is assumed"),
        ({"price": None}, "PYTOON_ENGINES__PAID__OPTIONS__PRICE='{per_second: 0.05}'"),
        ({"prize": 1}, "prize: 1: no such key; did you mean 'price'?"),
        ({"settings": {"modle": "x"}}, "settings.modle: no such setting; there are model"),
        ({"base_url": "api.example.com"}, "base_url: api.example.com is no address"),
        ({"deadline_s": 1800}, f"at most {1800 - MARGIN_S:g}"),
        ({"generating_s": 600}, "deadline_s: 1500: at most 540"),
        ({"declaration": "runwya"}, "no such declaration"),
        ({"secret_env": "my key"}, "secret_env: my key"),
    ],
)
def test_what_is_wrong_is_told(options: dict[str, Any], told: str) -> None:
    """Key, value and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        declared(settings("runway", **options))
    assert told in str(caught.value).replace("base_url: http", "http")


def test_a_declaration_is_missing() -> None:
    """An entry has to name one."""
    with pytest.raises(ConfigError, match="declaration: is missing"):
        declared(EngineSettings(name="paid", kind="hosted"))


def test_declarations_of_ones_own(tmp_path: Path) -> None:
    """They lie beside the configuration that is laid over what ships."""
    (tmp_path / "engines").mkdir()
    mine = yaml.safe_load((SHIPPED / "luma.yaml").read_text()) | {"title": "Mine"}
    (tmp_path / "engines" / "mine.yaml").write_text(yaml.safe_dump(mine))
    found, _ = declared(settings("mine"), PYTOON_CONFIG=str(tmp_path))
    assert "Mine" == found.title


def test_pictures_by_url_need_a_folder(tmp_path: Path) -> None:
    """Somebody has to serve them."""
    (tmp_path / "engines").mkdir()
    mine = yaml.safe_load((SHIPPED / "fal.yaml").read_text())
    mine["image"] = {"by": "url", "bytes_max": 100_000}
    (tmp_path / "engines" / "mine.yaml").write_text(yaml.safe_dump(mine))
    environ = {"PYTOON_CONFIG": str(tmp_path)}
    with pytest.raises(ConfigError, match="image_folder"):
        declared(settings("mine"), **environ)
    with pytest.raises(ConfigError, match="image_url"):
        declared(settings("mine", image_folder=str(tmp_path)), **environ)
    url = "https://cdn.example.com/{name}"
    declared(settings("mine", image_folder=str(tmp_path), image_url=url), **environ)


def test_what_ships_is_off() -> None:
    """Nothing that costs money is asked before somebody says so."""
    hosted = [engine for engine in config().engines if engine.kind == "hosted"]
    assert ["runway", "luma", "fal", "replicate"] == [engine.name for engine in hosted]
    assert not any(engine.enabled for engine in hosted)
