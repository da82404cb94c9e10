"""The operations that a SavedModel may have to be served without ``--trust``.

None of them reads or writes a file, uses the network, prints, or runs code. ``tests/serving/exported_operations.py``
derives the first list from exports of all families, tasks and tokenizers.
"""

_OF_EXPORTS = """
    AddV2 All Any ArgMax Assert AssignVariableOp BatchMatMulV2 BiasAdd BiasAddGrad BroadcastTo Cast ConcatV2
    Const Conv2D Cos Cumsum DecodeImage DecodeJpeg DecodePng DecodeRaw DenseBincount DisableCopyOnRead
    EnsureShape Equal Erf Exp ExpandDims Fill FloorDiv FloorMod FusedBatchNormV3 GatherV2 Greater GreaterEqual
    HashTableV2 Identity IdentityN If IsFinite Less LessEqual Log LogSoftmax LogicalAnd LogicalNot LogicalOr
    LookupTableFindV2 LookupTableImportV2 LowerBound MatMul Max MaxPool Maximum Mean Minimum Mul Neg NoOp
    NotEqual OneHot Pack Pad ParseExampleV2 Placeholder Pow Prod RaggedGather RaggedRange RaggedTensorToTensor
    Range ReadVariableOp RealDiv ReduceJoin Relu Reshape ReverseSequence Round Rsqrt ScaleAndTranslate Select
    SelectV2 Shape Sigmoid SigmoidGrad Sin Size Softmax SparseSoftmaxCrossEntropyWithLogits Split SplitV Square
    Squeeze StatefulPartitionedCall StatelessIf StatelessRandomGetKeyCounter StatelessRandomUniformV2
    StatelessWhile StaticRegexFullMatch StaticRegexReplace StopGradient StridedSlice StringJoin StringLength
    StringSplitV2 Sub Substr Sum Tanh TensorListConcatV2 TensorListFromTensor TensorListGetItem TensorListLength
    TensorListReserve TensorListSetItem TensorListStack TensorStridedSliceUpdate Tile TopKV2 Transpose
    UnicodeDecode UnicodeEncode UnicodeTranscode Unique Unpack UnsortedSegmentJoin UnsortedSegmentMin
    UnsortedSegmentSum VarHandleOp Where While ZerosLike
"""
# Of Keras's layers, their gradients, and functions in a graph, for models that Python code passed to ``tfdl.train``.
_OF_KERAS_LAYERS = """
    Abs Acos Acosh Asin Asinh Atan Atan2 Atanh AvgPool AvgPool3D BatchToSpaceND BitwiseAnd BitwiseOr Case Ceil
    ClipByValue Conv2DBackpropInput Conv3D Conv3DBackpropInputV2 Cosh Cumprod DepthToSpace DepthwiseConv2dNative
    Digamma DivNoNan Einsum Elu EluGrad EmptyTensorList Erfc Erfinv Expm1 Floor FusedBatchNormGradV3 GatherNd
    Invert LeakyRelu LeakyReluGrad LeftShift Lgamma LinSpace Log1p MaxPool3D Min MirrorPad MulNoNan PadV2
    PartitionedCall Rank Reciprocal Relu6 ReluGrad ResizeBicubic ResizeBilinear ResizeNearestNeighbor ReverseV2
    Roll RsqrtGrad ScatterNd SegmentSum Selu Sign Sinh Slice Softplus SoftplusGrad Softsign SoftsignGrad
    SpaceToBatchND SpaceToDepth Sqrt SqrtGrad SquaredDifference StatelessCase Tan TanhGrad TensorListGather
    TensorListPopBack TensorListPushBack TensorListResize TensorScatterUpdate UnsortedSegmentMax
    UnsortedSegmentProd Xdivy Xlogy
"""

COMPUTING = frozenset(_OF_EXPORTS.split()) | frozenset(_OF_KERAS_LAYERS.split())
"""Operations that only compute, look up, or hold variables."""

READING_AND_WRITING_WEIGHTS = frozenset({"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"})
"""Operations of the functions by which a SavedModel reads and writes its weights. They use files by any name, so no
function that a request calls may have them."""
