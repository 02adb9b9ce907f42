package android.content.res

import java.io.Closeable
import java.io.File
import java.io.FileInputStream
import java.io.InputStream

class AssetFileDescriptor(private val file: File) : Closeable {
    val startOffset = 0L
    val declaredLength = file.length()

    fun createInputStream() = FileInputStream(file)

    override fun close() = Unit
}

class AssetManager(private val folder: File) {
    fun open(name: String): InputStream = File(folder, name).inputStream()

    fun openFd(name: String) = AssetFileDescriptor(File(folder, name))
}
