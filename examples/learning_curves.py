"""Learning curves
===============

Loss, accuracy and learning rate over the epochs.

A program with cells (# %%), which notebooks and editors run one by one.
"""

# %%
import fastnn as fn

X, y = fn.datasets.digits()
steps = 30 * 43  # 30 epochs of 43 batches
model = fn.Model(
    [fn.MinMax(), fn.Dense(64, "relu"), fn.Dropout(0.2), fn.Dense(10)],
    loss="cross_entropy",
    optimizer=fn.Adam(fn.schedules.one_cycle(1e-2, steps)),
    seed=0,
)
history = model.fit(X, y, epochs=30, validation_split=0.25)
history  # a notebook shows its figures and small curves

# %%
# A panel for each figure, the validation data as a broken line. The learning rate is drawn where it changes.
axes = history.plot()
axes[0].set_title("Handwritten digits")
axes[0].figure.savefig("learning_curves.png", dpi=150)
print(f"learning_curves.png: {len(axes)} panels, {len(history.epoch)} epochs")

# %%
print(f"validation accuracy {history.history['val_accuracy'][-1]:.1%}")
