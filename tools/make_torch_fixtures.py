"""Write tests/fixtures/torch_*: states of PyTorch models, and what the models give for some inputs.

Needs PyTorch, which the tests do not: python tools/make_torch_fixtures.py
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

DATA = Path(__file__).resolve().parents[1] / "tests" / "fixtures"

#: fastnn's name of an activation -> PyTorch's module.
ACTIVATIONS = {
    "identity": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "elu": lambda: nn.ELU(0.5),
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "hard_tanh": nn.Hardtanh,
    "softmax": lambda: nn.Softmax(dim=1),
    "log_softmax": lambda: nn.LogSoftmax(dim=1),
}


def main() -> None:
    """Write all files."""
    torch.manual_seed(0)
    DATA.mkdir(exist_ok=True)
    x = 2 * torch.randn(5, 4, dtype=torch.float64)
    arrays = {"x": x.numpy()}
    for name, activation in ACTIVATIONS.items():
        model = nn.Sequential(nn.Linear(4, 3), activation()).double()
        arrays |= {f"{name}/{key}": value.numpy() for key, value in model.state_dict().items()}
        arrays[f"{name}/y"] = model(x).detach().numpy()
    np.savez_compressed(DATA / "torch_activations.npz", **arrays)

    # Twelve modules, so that "10.weight" stands before "2.weight" in the file.
    parts = [nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6, bias=False), nn.Tanh(), nn.Dropout(0.1)]
    parts += [nn.Linear(6, 6), nn.Identity(), nn.Identity(), nn.Linear(6, 5), nn.SiLU(), nn.Linear(5, 2)]
    model = nn.Sequential(*parts).eval()
    outputs = {"x": x.float().numpy()}
    for name, dtype in {"float32": None, "float16": torch.float16, "bfloat16": torch.bfloat16}.items():
        state = model.state_dict()
        if dtype is not None:
            state = {key: value.to(dtype) for key, value in state.items()}
        save_file(state, DATA / f"torch_sequential_{name}.safetensors")
        model.load_state_dict({key: value.float() for key, value in state.items()})
        outputs[name] = model(x.float()).detach().numpy()
    np.savez_compressed(DATA / "torch_sequential.npz", **outputs)

    small = nn.Sequential(nn.Linear(2, 1))
    torch.save(small.state_dict(), DATA / "torch_save.pt")
    torch.save(small.state_dict(), DATA / "torch_save_legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(small, DATA / "torch_save_module.pt")
    torch.jit.save(torch.jit.trace(small, torch.zeros(1, 2)), DATA / "torch_script.pt")
    print(f"PyTorch {torch.__version__}, Python {sys.version.split()[0]}: wrote {DATA}/torch_*")


if __name__ == "__main__":
    main()
