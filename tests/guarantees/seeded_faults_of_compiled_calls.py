"""Seeded faults in the functions that a user's compiled code calls: see `mutants`."""

from tests.guarantees.seeded_faults import compiled

CHECKED, COPIES = "engine/test_checked.py", "engine/test_network_copies.py"
DERIVATIVES, PASSES = "engine/test_network_derivatives.py", "engine/test_passes.py"
TIME_STEPS = "engine/test_steps.py"

COMPILED_CALLS = {
    # networks and arrays that are not what they seem
    "a copy of the parameters taken for them": compiled(
        "arguments",
        "descriptor.own_address == address(descriptor) and descriptor.parameters == address(net.parameters)",
        "descriptor.own_address == address(descriptor)",
        COPIES,
        CHECKED,
    ),
    "copied limits of indices": compiled(
        "arguments", "        and descriptor.limits == address(net.limits)\n", "", COPIES, CHECKED
    ),
    "a copy of the counters of steps": compiled(
        "arguments", "        and row.counters == address(state.counters)\n", "", COPIES, CHECKED
    ),
    "arrays side by side taken for one": compiled(
        "arguments", "first + one.nbytes <= second", "first + one.nbytes < second", CHECKED
    ),
    "arrays one within the other taken for two": compiled(
        "arguments", "first + one.nbytes <= second or", "first <= second or", CHECKED
    ),
    "all targets of a sample but one left out": compiled(
        "arguments", "(1 if x.ndim >= 2 else y.size)", "1", CHECKED
    ),
    "a state of another width": compiled(
        "checked",
        "state.shape[0] == rows and row_width(state) == descriptor.state_width",
        "state.shape[0] == rows",
        TIME_STEPS,
    ),
    # what they compute
    "states of rows one over the other": compiled(
        "unchecked",
        "own + start * descriptor.state_width",
        "own + position * descriptor.state_width",
        TIME_STEPS,
    ),
    "a time step leaves its sizes": compiled(
        "unchecked",
        "descriptor.predict_ops, descriptor.n_features, descriptor.n_outputs = ops, features, outputs",
        "descriptor.predict_ops = ops",
        TIME_STEPS,
    ),
    "gradients given of the first rows for all": compiled(
        "jacobian", "net.y + position * n_out * itemsize", "net.y", DERIVATIVES
    ),
    "outputs of each part in the first one's rows": compiled(
        "passes", "start + own.first_row * width * own.itemsize", "start", PASSES
    ),
    "a step in parts not counted": compiled("passes", "            net.step += 1\n", "", PASSES),
    "losses of compiled steps without the penalty": compiled(
        "loop", "loss * own.scale + own.penalty", "loss * own.scale", "training/test_objective.py"
    ),
}
