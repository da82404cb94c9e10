/* Asks an exported image classifier through TensorFlow's C interface.

   ask_saved_model FOLDER INPUT OUTPUT COUNT HEIGHT WIDTH CHANNELS < pixels

   INPUT and OUTPUT are operations of the signature, such as serving_default_image and StatefulPartitionedCall:1. The
   pixels are bytes, image after image. Prints the probabilities of each image on a line. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

static TF_Status *status;

static void check(const char *step) {
  if (TF_GetCode(status) == TF_OK) return;
  fprintf(stderr, "%s: %s\n", step, TF_Message(status));
  exit(1);
}

/* "name:1" is output 1 of the operation "name". */
static TF_Output find(TF_Graph *graph, char *text) {
  char *colon = strchr(text, ':');
  int index = 0;
  if (colon != NULL) {
    *colon = '\0';
    index = atoi(colon + 1);
  }
  TF_Output output = {TF_GraphOperationByName(graph, text), index};
  if (output.oper == NULL) {
    fprintf(stderr, "the graph has no operation %s\n", text);
    exit(1);
  }
  return output;
}

int main(int argc, char **argv) {
  if (argc != 8) {
    fprintf(stderr, "usage: ask_saved_model FOLDER INPUT OUTPUT COUNT HEIGHT WIDTH CHANNELS < pixels\n");
    return 2;
  }
  int64_t shape[4];
  size_t size = 1;
  for (int axis = 0; axis < 4; axis++) {
    shape[axis] = atoll(argv[4 + axis]);
    size *= shape[axis];
  }
  status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tags[] = {"serve"};
  TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  check("load");

  TF_Tensor *images = TF_AllocateTensor(TF_UINT8, shape, 4, size);
  if (fread(TF_TensorData(images), 1, size, stdin) != size) {
    fprintf(stderr, "expected %zu pixels\n", size);
    return 1;
  }
  TF_Output input = find(graph, argv[2]);
  TF_Output output = find(graph, argv[3]);
  TF_Tensor *probabilities = NULL;
  TF_SessionRun(session, NULL, &input, &images, 1, &output, &probabilities, 1, NULL, 0, NULL, status);
  check("run");

  const float *values = TF_TensorData(probabilities);
  int64_t num_classes = TF_Dim(probabilities, 1);
  for (int64_t image = 0; image < TF_Dim(probabilities, 0); image++) {
    for (int64_t class = 0; class < num_classes; class++) {
      printf("%.9g%c", values[image * num_classes + class], class + 1 < num_classes ? ' ' : '\n');
    }
  }

  TF_DeleteTensor(images);
  TF_DeleteTensor(probabilities);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
