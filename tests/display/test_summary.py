"""What a model's table shows of layers made of layers."""

import fastnn as fn


def nested():
    block = fn.Residual([fn.LayerNormalization(), fn.Dense(16, "relu"), fn.Dense(16)])
    joined = fn.Concatenate([None, [fn.Dense(3), fn.Add([None, fn.Activation("relu")])]])
    return fn.Model(
        [fn.Dense(16), block, joined, fn.Residual(fn.Dense(4), shortcut=fn.Dense(4)), fn.Dense(2)]
    )


TABLE = """
layer                          output shape  parameters
-------------------------------------------------------
Dense(16)                      (n, 16)               80
Residual                       (n, 16)              576
  body: Sequential             (n, 16)              576
    LayerNormalization()       (n, 16)               32
    Dense(16, 'relu'), frozen  (n, 16)              272
    Dense(16)                  (n, 16)              272
  shortcut: identity           (n, 16)                0
Concatenate                    (n, 19)               51
  0: identity                  (n, 16)                0
  1: Sequential                (n, 3)                51
    Dense(3)                   (n, 3)                51
    Add                        (n, 3)                 0
      0: identity              (n, 3)                 0
      1: Activation('relu')    (n, 3)                 0
Residual                       (n, 4)               160
  body: Dense(4)               (n, 4)                80
  shortcut: Dense(4)           (n, 4)                80
Dense(2)                       (n, 2)                10
-------------------------------------------------------
877 parameters in all, 272 of them frozen, float32
"""


def test_what_is_in_a_container_is_indented(capsys):
    model = nested().build(4)
    model.layers[1].body.layers[1].trainable = False
    model.summary()
    assert capsys.readouterr().out == TABLE.lstrip()


def test_before_it_is_built(capsys):
    nested().summary()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[2:4]] == ["Dense(16)", "Residual"]
    assert lines[5].split() == ["LayerNormalization()", "(n,", "?)", "?"]
    assert len(lines) == len(TABLE.split("\n")) - 2


def test_html_keeps_the_indentation():
    html = nested().build(4)._repr_html_()
    assert '<td style="text-align:left;white-space:pre">    LayerNormalization()</td>' in html
