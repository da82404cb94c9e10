// Horovod's xla_mpi_ops.cc includes this header before anything else and nothing but that file includes it. Its XLA ops
// need headers that TensorFlow's wheel does not ship (highwayhash), so the file is made to compile to nothing: with
// HAVE_GPU off, all of its code is preprocessed away. Ordinary GPU ops are in other files and keep HAVE_GPU.
#undef HAVE_GPU
#define HAVE_GPU 0
