"""Seeded faults in training by several ranks, batch by batch, and in C: see `mutants`."""

from tests.guarantees.seeded_faults import compiled

RANKS = "distributed/test_threads_as_ranks.py"
BATCHES, READERS = "training/test_batches.py", "data/test_readers.py"
C = "c/test_training_in_c.py"
FROZEN = "layers/test_trainable.py"
KINDS = "engine/test_threads.py::test_kinds_of_fits_give_the_same_bits"
OBJECTIVE = "training/test_objective.py"


def of_ranks(before, after, file="data_parallel"):
    return compiled(file, before, after, RANKS)


def of_shards(before, after, file="distributed/shards"):
    return compiled(file, before, after, "distributed/test_shards.py")


STEPS = {
    # kernels of a step in its parts
    "loss of ranks divided by rows, not by weights": of_ranks(
        "1.0 / net.all_weight if", "1.0 / float(net.all_rows) if"
    ),
    "all ranks drop alike": of_ranks("own, step | net.rank << _RANK,", "own, step,"),
    "the number of a step is left with the rank in it": of_ranks("        own.step = step\n", ""),
    "means of batches by the rows of a rank": of_ranks(
        "loss * (float(net.all_rows) / net.all_weight)", "loss * (rows / net.own_weight)"
    ),
    "penalties of a batch counted by each rank": of_ranks(
        "net.total_penalty += own.penalty * rows", "net.total_penalty += own.penalty * float(net.all_rows)"
    ),
    "penalties left out of the gradient of ranks": of_ranks(
        "        for i in range(net.shared_penalties):", "        for i in range(net.n_penalties):"
    ),
    "penalties scaled by what was before": of_ranks(
        "        own.scale = _scale(net)  # which penalties read\n", ""
    ),
    "metrics of ranks left out": of_ranks(
        "        call_kernel(metric.forward, metric, own)\n", "        pass\n"
    ),
    "running statistics of ranks left alone": of_ranks(
        "        _update_statistics(net, own)\n", "        pass\n"
    ),
    "ranks in the order of the first epoch": of_ranks(
        "order_samples(net, net.epoch)", "order_samples(net, 0)"
    ),
    "sums of ranks from one epoch to the next": of_ranks("        start_sums(net)\n", ""),
    "each thread makes a step of its own": of_ranks(
        "if wait_for_team(net) and thread == 0:", "if wait_for_team(net):"
    ),
    # Python's part of it
    "a rank without rows has the gradient of its last batch": of_ranks(
        "self._own[...], ", "_, ", "distributed/steps"
    ),
    "a third rank's gradient left out": of_ranks(
        "self._sum_rows(rows, self._total)", "self._sum_rows(rows[:2], self._total)", "distributed/steps"
    ),
    "a third rank's part of a long gradient left out": of_ranks(
        "add_up(received, vector", "add_up(received[:2], vector", "distributed/ranks"
    ),
    "weights of outputs not averaged": of_ranks(
        "weight.ravel(), count) / width", "weight.ravel(), count)", "distributed/steps"
    ),
    "weights in the order of the samples": of_ranks(
        "weight[self._own_order] if self._order.size else weight", "weight", "distributed/steps"
    ),
    "sums of an epoch's first part counted by each rank": of_ranks(
        "            launch.set_sums(self._net, np.zeros_like(launch.sums(self._net)))\n",
        "            pass\n",
        "distributed/steps",
    ),
    "slices begin with the sums of all ranks": of_ranks(
        "            self._own_sums = launch.sums(self._net), self._net.statistics.copy()\n",
        "            pass\n",
        "distributed/steps",
    ),
    "r2 of ranks without the distance of their means": of_ranks(
        "b[:, 2] + distance * distance * a[:, 0] * share", "b[:, 2]", "distributed/sums"
    ),
    "the first row of another rank is a rank's own": of_ranks(
        "order < self._end)", "order <= self._end)", "distributed/batches"
    ),
    # shards
    "shards of a rank drop alike": of_shards(
        "shard.number, shard.address", "self._ranks.rank, shard.address"
    ),
    "all shards have the order of the first": of_shards("shard.order += shard.rows.start", "pass"),
    "moving averages of a step that diverges": of_shards("self._statistics[...] = self._kept", "pass"),
    "sums of a resumed epoch in each rank's first shard": of_shards("if self._ranks.rank == 0:", "if True:"),
    "a network as large as the largest shard of a rank": of_shards(
        "max(task.sizes)", "len(task.data.X)", "distributed/agreement"
    ),
    "shards added up in their order": of_shards(
        "            if not i & 1:\n", "            if not i:\n", "distributed/sums"
    ),
    "ranks with shards added up in their order": of_shards(
        "self._sum_rows = add_pairwise", "self._sum_rows = self._sum_rows"
    ),
    "logs of shards added up in their order": of_shards(
        "found = np.stack([join(found[i : i + 2], metrics) for i in range(0, len(found), 2)])",
        "found = join(found, metrics)[np.newaxis]",
        "distributed/sums",
    ),
    "validation rows of a rank all in one shard": of_shards(
        "slices = own_slices(equal_sizes(task.n_validation, len(task.sizes)), ranks)",
        "slices = [slice(None)]",
    ),
    # pieces of a step that ranks and user's steps share with `fit`
    "frozen layers count in the norm": compiled(
        "update",
        "    call_kernel(schedule.forward, schedule, own)\n    _clear(own, start, end, frozen)\n",
        "    call_kernel(schedule.forward, schedule, own)\n",
        RANKS,
    ),
    "what is frozen ends the trained part": compiled(
        "update", "_optimize(net, own, start, min(end, frozen[k]))", "_optimize(net, own, start, end)", FROZEN
    ),
    "frozen layers count in the norm of a fit": compiled(
        "update", "    _clear(own, start, end, frozen)\n    if updates:\n", "    if updates:\n", FROZEN
    ),
    "gradients in one place from the start on": compiled(
        "update", "(start - origin) * net.itemsize", "start * net.itemsize", KINDS
    ),
    "given orders repeat": compiled("loop", "    net.orders += 8 * order.size\n", "", OBJECTIVE, RANKS),
    "weights' gradient of a thread's rows alone": compiled(
        "rows",
        "    own = worker(net, thread)\n    place_rows(own, 0, own.batch_rows)\n",
        "    own = worker(net, thread)\n",
        KINDS,
    ),
    # batch by batch
    "a batch that fails ends the epoch": compiled(
        "training/pieces", "is_last = batch is None and failure is None", "is_last = batch is None", BATCHES
    ),
    "batches of an epoch counted from each piece on": compiled(
        "training/pieces", "number + waiting, 0", "waiting, 0", BATCHES
    ),
    "weights of a piece from the data set's start on": compiled(
        "engine/launch", "0 if weight is None else first * weight.strides[0]", "0", BATCHES
    ),
    "a resumed epoch begins with its group": compiled(
        "training/sources", "max(0, position - start), start + n", "0, start + n", READERS
    ),
    "rest of a group without the weights": compiled(
        "training/sources",
        "return DataSet(X, y, np.concatenate([one.weight, other.weight]))",
        "return DataSet(X, y, np.concatenate([one.weight, one.weight]))",
        READERS,
    ),
    # in C
    "gradient of C not cleared": compiled(
        "c/training",
        '"for (int i = 0; i < $P_PARAMETERS; i++)",',
        '"for (int i = 0; i < $P_PARAMETERS - 1; i++)",',
        C,
    ),
    "positions of a sequence by the first weights' inputs": compiled(
        "c/learning", "p++, x += n, dy += m)", "p++, dy += m)", C
    ),
    "adam in C without epsilon's place": compiled(
        "c/learning", "rate * m[i] / (size * root + epsilon)", "rate * m[i] / ((size + epsilon) * root)", C
    ),
    "alpha in C not divided by the rows": compiled("c/training", '/ ($real)n"\n', '"\n', C),
    "smoothing in C spread over the other classes": compiled(
        "c/learning", "spread = smoothing / ($real)n;", "spread = smoothing / ($real)(n - 1);", C
    ),
    "norm in C of the last trained part": compiled(
        "c/training",
        'for a, size in parts)\n        lines += [f"const',
        'for a, size in parts[-1:])\n        lines += [f"const',
        C,
    ),
}
