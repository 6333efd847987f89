"""Where graphs come from: the ONNX reader and the zoo of builders. Imports only emu.ir."""
