"""Cached code is read only where nobody but the user, root and the package's owner can have put it."""

import os
import stat
from pathlib import Path

import pytest

from fastnn.compiler import cache_key, object_cache, trust

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are those of POSIX")
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root alone can give a folder away"
)
STRANGER = 12345
CODE = b"code"


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A folder for a cache two folders further down; forgets what was found out about others."""
    monkeypatch.delenv("FASTNN_SHARED_CACHE_DIR", raising=False)
    monkeypatch.setattr(trust, "_is_private_group", lambda path, gid: False)
    caches = object_cache._own, object_cache._shared
    for cache in caches:
        cache.cache_clear()
    yield tmp_path
    for cache in caches:
        cache.cache_clear()


def kept(folder, monkeypatch, fill=True):
    """Whether code is kept in a folder and read again."""
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(folder))
    object_cache._own.cache_clear()
    if fill:
        object_cache.write("symbol", CODE)
        assert (object_cache.fault() is None) == (object_cache.read("symbol") is not None)
    return object_cache.read("symbol") == CODE


def give(path, user=STRANGER):
    os.chown(path, user, -1, follow_symlinks=False)


# ---- folders -----------------------------------------------------------------------------------

# What becomes of base/way/cache: mode of `way`, and whether the cache may be used.
WAYS = {
    "others write": (0o777, False),
    "others write, not look": (0o772, False),
    "the group writes": (0o775, False),
    "all write, sticky": (0o1777, True),
    "the group writes, sticky": (0o1775, True),
    "all read": (0o755, True),
    "private": (0o700, True),
    "set-group-id": (0o2755, True),
}


@pytest.mark.parametrize(("mode", "good"), WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_parent_that_others_may_write_to(mode, good, depth, base, monkeypatch):
    """However far above it stands, and whoever owns the folder in it."""
    way = base / "way"
    cache = way.joinpath(*["deeper"] * depth, "cache")
    assert kept(cache, monkeypatch)
    way.chmod(mode)
    assert kept(cache, monkeypatch, fill=False) is good
    assert kept(cache, monkeypatch) is good
    assert (object_cache.fault() is None) is good
    assert good or str(way) in object_cache.fault()


def test_a_sticky_folder_may_hold_the_cache_but_not_be_it(base, monkeypatch):
    assert kept(base / "cache", monkeypatch)
    (base / "cache").chmod(0o1777)
    assert kept(base / "cache", monkeypatch)
    (base / "cache" / cache_key.key()).chmod(0o1777)
    assert not kept(base / "cache", monkeypatch)


@as_root
@pytest.mark.parametrize("mode", [0o755, 0o1777])
def test_a_parent_of_another_user(mode, base, monkeypatch):
    """A stranger's sticky folder too: he can rename what is in it."""
    assert kept(base / "way" / "cache", monkeypatch)
    (base / "way").chmod(mode)
    give(base / "way")
    assert not kept(base / "way" / "cache", monkeypatch)
    assert object_cache.fault() == f"{base / 'way'} belongs to another user"


@as_root
def test_a_folder_that_another_user_made_in_a_sticky_one(base, monkeypatch):
    (base / "way").mkdir()
    (base / "way").chmod(0o1777)
    assert kept(base / "way" / "cache", monkeypatch)
    give(base / "way" / "cache")
    assert not kept(base / "way" / "cache", monkeypatch)


def linked(base, target):
    (base / "links").mkdir()
    (base / "links" / "cache").symlink_to(target)
    return base / "links" / "cache"


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("bad", ["links", "target"])
def test_a_link_is_looked_at_on_both_sides(relative, bad, base, monkeypatch):
    (base / "target").mkdir()
    cache = linked(base, "../target/cache" if relative else base / "target" / "cache")
    (base / "target" / "cache").mkdir()
    assert kept(cache, monkeypatch)
    (base / bad).chmod(0o777)
    assert not kept(cache, monkeypatch)


@as_root
def test_a_link_of_another_user_in_a_sticky_folder(base, monkeypatch):
    (base / "target").mkdir()
    cache = linked(base, base / "target")
    (base / "links").chmod(0o1777)
    assert kept(cache, monkeypatch)
    give(cache)
    assert not kept(cache, monkeypatch)


def test_links_that_lead_nowhere_or_in_a_circle(base, monkeypatch):
    (base / "a").symlink_to(base / "b")
    (base / "b").symlink_to(base / "a")
    (base / "lost").symlink_to(base / "nothing")
    for name in ("a", "lost"):
        assert not kept(base / name, monkeypatch)
        assert name in object_cache.fault()


@pytest.mark.parametrize("variable", ["FASTNN_CACHE_DIR", "XDG_CACHE_HOME"])
def test_relative_names_are_not_those_of_the_current_folder(variable, base, monkeypatch):
    """The current folder may be an unpacked archive of anybody's."""
    home = base / "home"
    home.mkdir()
    monkeypatch.chdir(base)
    monkeypatch.setenv("HOME", str(home))
    for name in ("FASTNN_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "here")
    object_cache.write("symbol", CODE)
    assert not (base / "here").exists()
    if list(home.rglob("*.o")):  # the specification of XDG_CACHE_HOME has a relative path ignored
        assert variable == "XDG_CACHE_HOME" and object_cache.read("symbol") == CODE
    else:  # older versions of platformdirs do not ignore it
        assert object_cache.read("symbol") is None
        assert object_cache.fault().startswith("here") and "is a relative path" in object_cache.fault()


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o002, 0o000])
def test_what_is_made_can_be_written_to_by_nobody_else(umask, base, monkeypatch):
    """Many systems give users a umask of 002, with which new folders can be written to by their group."""
    before = os.umask(umask)
    try:
        assert kept(base / "new" / "cache", monkeypatch)
    finally:
        os.umask(before)
    made = [path for path in base.rglob("*")]
    assert len(made) == 4
    for path in made:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o644 if path.suffix == ".o" else 0o755) & ~umask


# ---- files -------------------------------------------------------------------------------------


@pytest.fixture
def file(base, monkeypatch):
    assert kept(base / "cache", monkeypatch)
    (path,) = base.rglob("*.o")
    return path


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o646, 0o602])
def test_a_file_that_others_may_write_to(mode, file):
    file.chmod(mode)
    assert object_cache.read("symbol") is None
    object_cache.write("symbol", CODE)  # which takes its place
    assert object_cache.read("symbol") == CODE


@as_root
def test_a_file_of_another_user_in_a_private_folder(file):
    give(file)
    assert object_cache.read("symbol") is None


def test_a_link_in_the_place_of_a_file(file, base):
    file.rename(base / "elsewhere")
    file.symlink_to(base / "elsewhere")
    assert object_cache.read("symbol") is None


# ---- owners and groups -------------------------------------------------------------------------


@as_root
def test_the_owner_of_the_package_is_trusted(file, base, monkeypatch):
    package = base / "module.py"
    package.write_text("")
    give(package)
    give(file)
    assert object_cache.read("symbol") is None
    monkeypatch.setattr(trust, "__file__", str(package))
    assert object_cache.read("symbol") == CODE
    give(package, trust._NOBODY)
    give(file, trust._NOBODY)
    assert object_cache.read("symbol") is None
    monkeypatch.setattr(trust, "__file__", str(base / "archive.zip" / "module.py"))
    assert object_cache.read("symbol") is None


GROUPS = {  # user's name, number and group; the name and other members of group 700
    "the user's own": (("ann", 1000, 700), ("ann", []), True),
    "with the user as a member": (("ann", 1000, 700), ("ann", ["ann"]), True),
    "of several users": (("ann", 1000, 700), ("users", []), False),
    "with another member": (("ann", 1000, 700), ("ann", ["bob"]), False),
    "not the user's first": (("ann", 1000, 100), ("ann", []), False),
    "root's": (("root", 0, 700), ("root", []), False),
}


@pytest.mark.parametrize(("user", "group", "private"), GROUPS.values(), ids=GROUPS)
def test_groups_of_one_user(user, group, private, tmp_path, monkeypatch):
    grp, pwd = pytest.importorskip("grp"), pytest.importorskip("pwd")
    name, uid, gid = user
    entry = pwd.struct_passwd((name, "x", uid, gid, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: entry)
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group((group[0], "x", gid, group[1])))
    assert trust._is_private_group(tmp_path, 700) is private
    if private and hasattr(os, "listxattr"):
        monkeypatch.setattr(os, "listxattr", lambda path: ["system.posix_acl_access"])
        assert not trust._is_private_group(tmp_path, 700)


def test_a_user_without_a_name_has_no_group_of_his_own(monkeypatch):
    pwd = pytest.importorskip("pwd")

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert not trust._is_private_group(Path("/"), os.getgid())
