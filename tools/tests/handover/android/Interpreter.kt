// Writes what it is fed with to input.bin of the working directory, and answers with output.bin.

@file:Suppress("UNUSED_PARAMETER", "unused")

package org.tensorflow.lite

import java.io.File
import java.nio.ByteBuffer

class Interpreter(model: ByteBuffer, options: Options) : AutoCloseable {
    class Options {
        fun setNumThreads(threads: Int): Options = this
    }

    fun run(input: Any, output: Any) {
        val bytes = ByteArray((input as ByteBuffer).remaining())
        input.get(bytes)
        File("input.bin").writeBytes(bytes)
        (output as ByteBuffer).put(File("output.bin").readBytes())
    }

    override fun close() = Unit
}
